// SPDX-FileCopyrightText: The signalbox authors
// SPDX-License-Identifier: Apache-2.0
// The library of Standard Webhooks verifies posts: a line of JSON each on stdin, {secret, headers, body}; prints "ok" or why not.
import { readFileSync } from 'node:fs';
import { Webhook } from 'standardwebhooks';

for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log('ok');
  } catch (error) {
    console.log(error.message);
  }
}

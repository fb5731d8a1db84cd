// SPDX-FileCopyrightText: The signalbox authors
// SPDX-License-Identifier: Apache-2.0
// Resend's SDK sends the mail on standard input (members as the SDK has them) to `mailed.mjs BASE_URL`, under the key `a-key`.
import fs from 'node:fs';

process.env.RESEND_BASE_URL = process.argv[2];
const { Resend } = await import('resend');
const mail = JSON.parse(fs.readFileSync(0, 'utf8'));
console.log(JSON.stringify(await new Resend('re_of_the_tests').emails.send(mail, { idempotencyKey: 'a-key' })));

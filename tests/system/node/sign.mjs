// SPDX-FileCopyrightText: The signalbox authors
// SPDX-License-Identifier: Apache-2.0
// Stripe's SDK makes a signed webhook: the secret on stdin's first line, the payload behind it; prints the header.
import { readFileSync } from 'node:fs';
import Stripe from 'stripe';

const input = readFileSync(0, 'utf8');
const secret = input.slice(0, input.indexOf('\n'));
const payload = input.slice(secret.length + 1);
const stripe = new Stripe('sk_test_not_used');
process.stdout.write(stripe.webhooks.generateTestHeaderString({ payload, secret }));

// SPDX-FileCopyrightText: The signalbox authors
// SPDX-License-Identifier: Apache-2.0
// Stripe's SDK against the practice Stripe: `charge.mjs PORT`, the key on stdin; prints what it understood as JSON.
import { readFileSync } from 'node:fs';
import Stripe from 'stripe';

const key = readFileSync(0, 'utf8').trim();
const stripe = new Stripe(key, { host: '127.0.0.1', port: Number(process.argv[2]), protocol: 'http', maxNetworkRetries: 2 });
const attempt = async (call) => {
  try {
    return await call();
  } catch (error) {
    return { error: error.constructor.name, type: error.rawType ?? error.type, code: error.code, decline_code: error.decline_code, statusCode: error.statusCode, param: error.param };
  }
};
const charge = (more, options) => attempt(() => stripe.paymentIntents.create({
  amount: 2000, currency: 'usd', confirm: true, payment_method: 'pm_card_visa',
  automatic_payment_methods: { enabled: true, allow_redirects: 'never' }, metadata: { 'order id': '6735 & ü' }, ...more }, options));

const paid = await charge({}, { idempotencyKey: 'first' });
const again = await charge({}, { idempotencyKey: 'first' });
const out = {
  paid, again,
  declined: await charge({ payment_method: 'pm_card_visa_chargeDeclinedInsufficientFunds' }),
  conflict: await charge({ amount: 2001 }, { idempotencyKey: 'first' }),
  invalid: await charge({ amount: 1.5 }),
  fetched: await attempt(() => stripe.paymentIntents.retrieve(paid.id)),
  missing: await attempt(() => stripe.paymentIntents.retrieve('pi_none')),
  refund: await attempt(() => stripe.refunds.create({ charge: paid.latest_charge, reason: 'duplicate' })),
  refundAgain: await attempt(() => stripe.refunds.create({ charge: paid.latest_charge })),
  checkout: await attempt(() => stripe.checkout.sessions.create({ mode: 'payment', success_url: 'https://a.example/ok', cancel_url: 'https://a.example/no',
    line_items: [{ quantity: 1, price_data: { currency: 'eur', unit_amount: 500, product_data: { name: 'Hat' } } }] })),
  events: [],
};
out.session = await attempt(() => stripe.checkout.sessions.retrieve(out.checkout.id));
for await (const event of stripe.events.list({ limit: 2 })) out.events.push(event.type); // follows has_more by itself
process.stdout.write(JSON.stringify(out));

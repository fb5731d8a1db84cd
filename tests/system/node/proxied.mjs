// SPDX-FileCopyrightText: The signalbox authors
// SPDX-License-Identifier: Apache-2.0
// The providers' own SDKs with nothing of a credential but the word "none": `proxied.mjs '{"stripe":PORT,...}'`. Each makes a call and one
// that fails, and prints what it understood as JSON. Retries are off where an error is wanted as it came.
import Anthropic from '@anthropic-ai/sdk';
import sendgrid from '@sendgrid/mail';
import { WebClient } from '@slack/web-api';
import OpenAI from 'openai';
import { Resend } from 'resend';
import Stripe from 'stripe';

const ports = JSON.parse(process.argv[2]);
const base = (name) => `http://127.0.0.1:${ports[name]}/${name}`;
const attempt = async (call) => {
  try {
    return { ok: await call() };
  } catch (error) {
    return { status: error.status ?? error.statusCode ?? error.code, message: error.message, kind: error.constructor.name, code: error.code, data: error.data };
  }
};
const pieces = async (stream, text) => {
  const out = [];
  for await (const event of stream) if (text(event)) out.push(text(event));
  return out;
};
const messages = [{ role: 'user', content: 'Hello from an application' }];

const suites = {
  async stripe() { // host and port only
    const stripe = new Stripe('none', { host: '127.0.0.1', port: ports.stripe, protocol: 'http', maxNetworkRetries: 0 });
    const charge = (more, options) => attempt(() => stripe.paymentIntents.create({
      amount: 2000, currency: 'usd', confirm: true, payment_method: 'pm_card_visa',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' }, ...more }, options));
    const first = await charge({}, { idempotencyKey: 'proxied' });
    return { call: first, again: await charge({}, { idempotencyKey: 'proxied' }),
      fetched: await attempt(() => stripe.paymentIntents.retrieve(first.ok.id)),
      failed: await charge({ payment_method: 'pm_card_visa_chargeDeclinedInsufficientFunds' }),
      forbidden: await attempt(() => stripe.payouts.create({ amount: 1, currency: 'usd' })) };
  },
  async openai() {
    const openai = new OpenAI({ apiKey: 'none', baseURL: `${base('openai')}/v1`, maxRetries: 0 });
    return { call: await attempt(() => openai.chat.completions.create({ model: 'gpt-4o-mini', messages })),
      stream: await attempt(async () => pieces(await openai.chat.completions.create({ model: 'gpt-4o-mini', messages, stream: true, stream_options: { include_usage: true } }),
        (event) => event.choices[0]?.delta?.content)),
      models: await attempt(async () => (await openai.models.list()).data.length),
      failed: await attempt(() => openai.chat.completions.create({ model: 'no-such-model', messages })),
      broken: await attempt(async () => pieces(await openai.chat.completions.create({ model: 'breaks-off', messages, stream: true }), (event) => event.choices[0]?.delta?.content)) };
  },
  async anthropic() {
    const anthropic = new Anthropic({ apiKey: 'none', baseURL: base('anthropic'), maxRetries: 0 });
    const ask = { model: 'claude-sonnet-4-5', max_tokens: 50, messages };
    return { call: await attempt(() => anthropic.messages.create(ask)),
      stream: await attempt(() => pieces(anthropic.messages.stream(ask), (event) => event.delta?.text)),
      failed: await attempt(() => anthropic.messages.create({ ...ask, model: 'no-such-model' })) };
  },
  async slack() {
    const slack = new WebClient('none', { slackApiUrl: `${base('slack')}/api/`, retryConfig: { retries: 0 } });
    return { call: await attempt(() => slack.chat.postMessage({ channel: 'C1', text: 'hello' })),
      failed: await attempt(() => slack.chat.postMessage({ channel: '#missing', text: 'hello' })) };
  },
  async sendgrid() {
    sendgrid.setApiKey('SG.none');
    sendgrid.client.setDefaultRequest('baseUrl', `${base('sendgrid')}/`);
    const send = (to) => attempt(async () => (await sendgrid.send({ to, from: 'a@example.com', subject: 's', text: 't' }))[0].statusCode);
    return { call: await send('b@example.com'), failed: await send('invalid@example.com') };
  },
  async resend() {
    const resend = new Resend('re_none', { baseUrl: base('resend') });
    const send = (to) => resend.emails.send({ from: 'a@example.com', to, subject: 's', text: 't' });
    return { call: await send('delivered@resend.dev'), failed: await send('quota@resend.dev') };
  },
};
const out = {};
for (const name of Object.keys(ports)) out[name] = await suites[name]();
process.stdout.write(JSON.stringify(out));

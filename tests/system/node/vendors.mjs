// SPDX-FileCopyrightText: The signalbox authors
// SPDX-License-Identifier: Apache-2.0
// Webhooks as vendors sign them, and what the vendors' own SDKs say of them. Jobs as a JSON list on stdin, answers likewise:
//   {op: "keys"}                                 -> key pairs for those who sign with one
//   {op: "sign", vendor, secret, url, body, at}  -> headers; by the SDK itself where it can sign, else by the layout it verifies
//   {op: "judge", vendor, secret, url, body, headers} -> does the SDK accept it?
//   {op: "answer", vendor, secret, body, headers} -> what the SDK answers to a handshake
import { createHmac, createPublicKey, createSign, generateKeyPairSync, sign as signWith, verify as verifyWith } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import https from 'node:https';

const require = createRequire(import.meta.url);
const hmac = (hash, key, text, encoding) => createHmac(hash, key).update(text).digest(encoding);
const load = async (name) => { try { return await import(name); } catch { return require(name); } };
const held = (fn) => async (...args) => { try { return (await fn(...args)) !== false; } catch { return false; } };

// Standard Webhooks and who signs like it: `judge` takes (body, headers, secret).
const standard = (prefix, judge) => ({
  sign: async ({ secret, body, at, id }) => {
    const { Webhook } = await load(prefix === 'svix' ? 'svix' : 'standardwebhooks');
    return { [`${prefix}-id`]: id, [`${prefix}-timestamp`]: String(at), [`${prefix}-signature`]: new Webhook(secret).sign(id, new Date(at * 1000), body) };
  },
  judge,
});

const zoom = async ({ secret, body, headers }) => {
  const { AwsLambdaReceiver } = await load('@zoom/rivet/meetings');
  console.debug = () => {}; // it writes every event to stdout
  const receiver = new AwsLambdaReceiver({ webhooksSecretToken: secret });
  receiver.init({ eventEmitter: { emit: async () => {} } });
  return receiver.start()({ body, headers, isBase64Encoded: false }, {});
};

const vendors = {
  stripe: {
    sign: async ({ secret, body, at }) => {
      const { default: Stripe } = await load('stripe');
      return { 'Stripe-Signature': new Stripe('sk_test_none').webhooks.generateTestHeaderString({ payload: body, secret, timestamp: at }) };
    },
    judge: async ({ secret, body, headers }) => {
      const { default: Stripe } = await load('stripe');
      return !!new Stripe('sk_test_none').webhooks.constructEvent(body, headers['Stripe-Signature'], secret);
    },
  },
  github: {
    sign: async ({ secret, body, id }) => {
      const { sign } = await load('@octokit/webhooks-methods');
      return { 'X-Hub-Signature-256': await sign(secret, body), 'X-GitHub-Delivery': id, 'X-GitHub-Event': 'push' };
    },
    judge: async ({ secret, body, headers }) => (await load('@octokit/webhooks-methods')).verify(secret, body, headers['X-Hub-Signature-256']),
  },
  'standard-webhooks': standard('webhook', async ({ secret, body, headers }) => !!new (await load('standardwebhooks')).Webhook(secret).verify(body, headers)),
  'standard-pair': { // Ed25519: the libraries know v1 alone, so node's own judges, by the specification's layout
    sign: async ({ edPrivate, body, at, id }) => ({ 'webhook-id': id, 'webhook-timestamp': String(at),
      'webhook-signature': 'v1a,' + signWith(null, Buffer.from(`${id}.${at}.${body}`), edPrivate).toString('base64') }),
    judge: async ({ secret, body, headers }) => {
      const raw = Buffer.from(secret.slice(5), 'base64');
      const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
      const text = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
      return verifyWith(null, Buffer.from(text), key, Buffer.from(headers['webhook-signature'].slice(4), 'base64'));
    },
  },
  svix: standard('svix', async ({ secret, body, headers }) => !!new (await load('svix')).Webhook(secret).verify(body, headers)),
  openai: standard('webhook', async ({ secret, body, headers }) => {
    const { default: OpenAI } = await load('openai');
    return !!(await new OpenAI({ apiKey: 'sk-none' }).webhooks.unwrap(body, headers, secret));
  }),
  anthropic: standard('webhook', async ({ secret, body, headers }) => {
    const { default: Anthropic } = await load('@anthropic-ai/sdk');
    return !!new Anthropic({ apiKey: 'none' }).beta.webhooks.unwrap(body, { headers, key: secret });
  }),
  resend: standard('svix', async ({ secret, body, headers }) => {
    const { Resend } = await load('resend');
    const named = { id: headers['svix-id'], timestamp: headers['svix-timestamp'], signature: headers['svix-signature'] };
    return !!new Resend('re_none').webhooks.verify({ payload: body, headers: named, webhookSecret: secret });
  }),
  slack: {
    sign: async ({ secret, body, at }) => ({
      'X-Slack-Request-Timestamp': String(at), 'X-Slack-Signature': 'v0=' + hmac('sha256', secret, `v0:${at}:${body}`, 'hex') }),
    judge: async ({ secret, body, headers }) => {
      const { verifySlackRequest } = require('@slack/bolt/dist/receivers/verify-request.js');
      verifySlackRequest({ signingSecret: secret, body, headers: {
        'x-slack-request-timestamp': Number(headers['X-Slack-Request-Timestamp']), 'x-slack-signature': headers['X-Slack-Signature'] } });
      return true;
    },
  },
  zoom: { // its SDK verifies the event as JSON.stringify() writes it, which is how Zoom sends it
    sign: async ({ secret, body, at }) => ({
      'x-zm-request-timestamp': String(at), 'x-zm-signature': 'v0=' + hmac('sha256', secret, `v0:${at}:${body}`, 'hex') }),
    judge: async (job) => (await zoom(job)).statusCode === 200,
    answer: async (job) => JSON.parse((await zoom(job)).body),
  },
  twilio: {
    sign: async ({ secret, body, url }) => {
      const { getExpectedTwilioSignature } = require('twilio/lib/webhooks/webhooks.js');
      return { 'X-Twilio-Signature': getExpectedTwilioSignature(secret, url, Object.fromEntries(new URLSearchParams(body))) };
    },
    judge: async ({ secret, body, url, headers }) => {
      const { validateRequest } = require('twilio/lib/webhooks/webhooks.js');
      return validateRequest(secret, headers['X-Twilio-Signature'], url, Object.fromEntries(new URLSearchParams(body)));
    },
  },
  shopify: {
    sign: async ({ secret, body, id }) => ({
      'X-Shopify-Hmac-Sha256': hmac('sha256', secret, body, 'base64'), 'X-Shopify-Topic': 'orders/create', 'X-Shopify-Webhook-Id': id,
      'X-Shopify-Shop-Domain': 'a.myshopify.com', 'X-Shopify-API-Version': '2026-10' }),
    judge: async ({ secret, body, headers }) => {
      await import('@shopify/shopify-api/adapters/node');
      const { shopifyApi } = await import('@shopify/shopify-api');
      const shop = shopifyApi({ apiKey: 'k', apiSecretKey: secret, hostName: 'a.example', isEmbeddedApp: false, apiVersion: '2026-10', scopes: [],
        logger: { log: () => {} } });
      const rawRequest = { method: 'POST', url: '/', headers };
      return (await shop.webhooks.validate({ rawBody: body, rawRequest, rawResponse: {} })).valid;
    },
  },
  square: {
    sign: async ({ secret, body, url }) => ({ 'x-square-hmacsha256-signature': hmac('sha256', secret, url + body, 'base64') }),
    judge: async ({ secret, body, url, headers }) => require('square').WebhooksHelper.verifySignature({
      requestBody: body, signatureHeader: headers['x-square-hmacsha256-signature'], signatureKey: secret, notificationUrl: url }),
  },
  hubspot: {
    sign: async ({ secret, body, url, at }) => {
      const { Signature } = require('@hubspot/api-client');
      const timestamp = at * 1000;
      return { 'X-HubSpot-Request-Timestamp': String(timestamp),
        'X-HubSpot-Signature-v3': Signature.getSignature('POST', 'v3', { clientSecret: secret, requestBody: body, url, timestamp }) };
    },
    judge: async ({ secret, body, url, headers }) => require('@hubspot/api-client').Signature.isValid({ signatureVersion: 'v3', method: 'POST', url,
      clientSecret: secret, requestBody: body, signature: headers['X-HubSpot-Signature-v3'], timestamp: Number(headers['X-HubSpot-Request-Timestamp']) }),
  },
  paddle: {
    sign: async ({ secret, body, at }) => ({ 'Paddle-Signature': `ts=${at};h1=${hmac('sha256', secret, `${at}:${body}`, 'hex')}` }),
    judge: async ({ secret, body, headers }) => {
      const { Paddle } = await load('@paddle/paddle-node-sdk');
      return new Paddle('none').webhooks.isSignatureValid(body, secret, headers['Paddle-Signature']);
    },
  },
  linear: {
    sign: async ({ secret, body, id }) => ({ 'Linear-Signature': hmac('sha256', secret, body, 'hex'), 'Linear-Delivery': id }),
    judge: async ({ secret, body, headers }) => {
      const { LinearWebhookClient } = await import('@linear/sdk/webhooks');
      return new LinearWebhookClient(secret).verify(Buffer.from(body), headers['Linear-Signature'], JSON.parse(body).webhookTimestamp);
    },
  },
  sendgrid: { // the secret is the public key; the private one signs
    sign: async ({ privateKey, body, at }) => ({
      'X-Twilio-Email-Event-Webhook-Timestamp': String(at),
      'X-Twilio-Email-Event-Webhook-Signature': createSign('sha256').update(String(at) + body).sign(privateKey, 'base64') }),
    judge: async ({ secret, body, headers }) => {
      const { EventWebhook } = require('@sendgrid/eventwebhook');
      const judge = new EventWebhook();
      return judge.verifySignature(judge.convertPublicKeyToECDSA(secret), body, headers['X-Twilio-Email-Event-Webhook-Signature'],
        headers['X-Twilio-Email-Event-Webhook-Timestamp']);
    },
  },
  sns: { // signed in the body: by the private key, judged with the certificate at the address it names
    sign: async ({ privateKey, body }) => {
      const message = JSON.parse(body);
      const text = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'].filter((key) => key in message)
        .map((key) => `${key}\n${message[key]}\n`).join('');
      const hash = message.SignatureVersion === '1' ? 'sha1' : 'sha256';
      return { body: JSON.stringify({ ...message, Signature: createSign(hash).update(text).sign(privateKey, 'base64') }) };
    },
    judge: async ({ certificate, body }) => {
      https.get = (url, answer) => {
        const response = Object.assign(new EventEmitter(), { statusCode: 200 });
        setImmediate(() => { answer(response); response.emit('data', Buffer.from(certificate)); response.emit('end'); });
        return new EventEmitter();
      };
      const Validator = require('sns-validator');
      return new Promise((done) => new Validator().validate(body, (error) => done(!error)));
    },
  },
};

const keys = () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const ed = generateKeyPairSync('ed25519');
  return { whpk: 'whpk_' + Buffer.from(ed.publicKey.export({ format: 'jwk' }).x, 'base64url').toString('base64'),
    edPrivate: ed.privateKey.export({ type: 'pkcs8', format: 'pem' }), public: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'), private: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) };
};

const answers = [];
for (const job of JSON.parse(readFileSync(0, 'utf8'))) {
  if (job.op === 'keys') answers.push(keys());
  else if (job.op === 'sign') answers.push(await vendors[job.vendor].sign(job));
  else if (job.op === 'answer') answers.push(await vendors[job.vendor].answer(job));
  else answers.push(await held(vendors[job.vendor].judge)(job));
}
process.stdout.write(JSON.stringify(answers));
process.exit(0); // some SDKs keep timers

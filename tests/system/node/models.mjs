// SPDX-FileCopyrightText: The signalbox authors
// SPDX-License-Identifier: Apache-2.0
// OpenAI's and Anthropic's SDKs against the practice ones: `models.mjs PORT`; prints what they understood as JSON.
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const base = `http://127.0.0.1:${process.argv[2]}`;
const openai = new OpenAI({ apiKey: 'sk-of-the-tests', baseURL: `${base}/openai/v1`, maxRetries: 0 });
const anthropic = new Anthropic({ apiKey: 'sk-ant-of-the-tests', baseURL: `${base}/anthropic`, maxRetries: 0 });
const attempt = async (call) => {
  try {
    return await call();
  } catch (error) {
    return { error: error.constructor.name, status: error.status, code: error.code, type: error.type ?? error.error?.error?.type, id: Boolean(error.requestID ?? error.request_id) };
  }
};
const messages = [{ role: 'user', content: 'one two ü' }];
const chat = (more) => attempt(() => openai.chat.completions.create({ model: 'm', messages, ...more }));
const say = (more) => attempt(() => anthropic.messages.create({ model: 'm', max_tokens: 50, messages, ...more }));
const collect = async (stream, pick) => {
  const pieces = [];
  for await (const event of stream) pieces.push(pick(event));
  return pieces.filter((piece) => piece !== undefined);
};
const errors = async (ask) => ({
  'no-such-model': await ask({ model: 'no-such-model' }), 'no-credit': await ask({ model: 'no-credit' }),
  'rate-limited': await ask({ model: 'rate-limited' }), overloaded: await ask({ model: 'overloaded' }),
  'bad input': await ask({ messages: [] }),
});
const usage = await chat({ stream: true, stream_options: { include_usage: true } });
const out = {
  openai: {
    chat: await chat({}),
    cut: await chat({ max_tokens: 2 }),
    refused: await chat({ model: 'refuses' }),
    stream: await collect(usage, (chunk) => chunk.usage ?? chunk.choices[0].delta.content),
    embedding: (await openai.embeddings.create({ model: 'e', input: ['a', 'b'] })).data.map((one) => [...one.embedding]),
    floats: (await openai.embeddings.create({ model: 'e', input: ['a', 'b'], encoding_format: 'float' })).data.map((one) => one.embedding),
    models: (await openai.models.list()).data.map((model) => model.id),
    errors: await errors(chat),
    brokenOff: await attempt(async () => collect(await openai.chat.completions.create({ model: 'breaks-off', messages, stream: true }), () => 1)),
    key: await attempt(() => new OpenAI({ apiKey: 'wrong', baseURL: `${base}/openai/v1`, maxRetries: 0 }).models.list()),
  },
  anthropic: {
    chat: await say({ system: 'Be brief' }),
    cut: await say({ max_tokens: 2 }),
    stream: await collect(await say({ stream: true }), (event) => event.delta?.text ?? event.delta?.stop_reason),
    final: await anthropic.messages.stream({ model: 'm', max_tokens: 50, messages }).finalMessage(),
    models: (await anthropic.models.list()).data.map((model) => model.id),
    errors: await errors(say),
    key: await attempt(() => new Anthropic({ apiKey: 'wrong', baseURL: `${base}/anthropic`, maxRetries: 0 }).models.list()),
  },
};
console.log(JSON.stringify(out));

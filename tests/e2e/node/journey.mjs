// OpenAI's official Node SDK goes the main way: models, chats, tools, responses, context, and every class of error.
// Needs ROSTRA_URL (with /v1), ROSTRA_API_KEY, ROSTRA_LIMITED_API_KEY (one request per minute) and ROSTRA_EMAIL (taken).
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

const { ROSTRA_URL, ROSTRA_API_KEY, ROSTRA_LIMITED_API_KEY, ROSTRA_EMAIL } = process.env;
const GREETING = "The rostra carried every speaker's voice through Rome.";
const HELLO = [{ role: "user", content: "Hello, world" }];
const WEATHER = {
  name: "get_weather",
  description: "Tells the weather of a city.",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

const sdk = (apiKey) => new OpenAI({ baseURL: ROSTRA_URL, apiKey, maxRetries: 0, timeout: 30_000 });
const client = sdk(ROSTRA_API_KEY);

async function collect(iterable) {
  const elements = [];
  for await (const element of iterable) elements.push(element);
  return elements;
}

test("models are listed and found", async () => {
  const models = await collect(client.models.list());
  assert.ok(models.some((model) => model.id === "echo"));
  assert.equal((await client.models.retrieve("ok")).object, "model");
});

test("a chat is answered with its usage", async () => {
  const completion = await client.chat.completions.create({ model: "ok", messages: HELLO });
  assert.equal(completion.choices[0].message.content, GREETING);
  assert.equal(completion.choices[0].finish_reason, "stop");
  const { prompt_tokens, completion_tokens, total_tokens } = completion.usage;
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
});

test("a chat is streamed and ends with the usage that was asked for", async () => {
  const stream = await client.chat.completions.create({
    model: "ok",
    messages: HELLO,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await collect(stream);
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), GREETING);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(chunks.at(-1).usage.total_tokens > 0);
  assert.ok(chunks.slice(0, -1).every((chunk) => !chunk.usage));
});

test("the chat stream helper ends with the completion", async () => {
  const stream = client.chat.completions.stream({ model: "ok", messages: HELLO });
  let heard = "";
  stream.on("content", (delta) => (heard += delta));
  const completion = await stream.finalChatCompletion();
  assert.equal(completion.choices[0].message.content, GREETING);
  assert.equal(heard, GREETING);
});

test("stored chats are listed, read, changed and deleted", async () => {
  const { completions } = client.chat;
  const metadata = { topic: "stored", "a[b]&": "=é" };
  const messages = [
    { role: "developer", content: "Be brief." },
    { role: "user", name: "marcus", content: [{ type: "text", text: "Hello" }] },
  ];
  const whole = await completions.create({ model: "ok", messages, store: true, metadata });
  const streamed = await completions.stream({ model: "ok", messages, store: true, metadata }).finalChatCompletion();
  await completions.create({ model: "ok", messages });

  const listed = await collect(completions.list({ metadata, model: "ok", limit: 1 }));
  assert.deepEqual(listed.map(({ id }) => id), [whole.id, streamed.id]);
  assert.deepEqual(await collect(completions.list({ metadata, model: "echo" })), []);
  const found = await completions.retrieve(whole.id);
  assert.deepEqual(found, { ...whole, metadata });
  assert.equal((await completions.retrieve(streamed.id)).choices[0].message.content, GREETING);

  const given = await collect(completions.messages.list(whole.id, { limit: 1 }));
  assert.deepEqual(given.map(({ id }) => id), [`${whole.id}-0`, `${whole.id}-1`]);
  assert.deepEqual(given.map(({ content }) => content), ["Be brief.", null]);
  assert.deepEqual(given[1].content_parts, messages[1].content);

  const changed = await completions.update(whole.id, { metadata: { topic: "changed" } });
  assert.deepEqual(changed.metadata, { topic: "changed" });
  assert.deepEqual((await collect(completions.list({ metadata }))).map(({ id }) => id), [streamed.id]);
  for (const { id } of [whole, streamed]) assert.equal((await completions.delete(id)).deleted, true);
  await assert.rejects(completions.retrieve(whole.id), OpenAI.NotFoundError);
  assert.deepEqual(await collect(completions.list({ model: "ok" })), []);
});

test("a tool is called and the answer made from its output", async () => {
  const asked = [];
  const tools = [
    { type: "function", function: { ...WEATHER, parse: JSON.parse, function: ({ city }) => (asked.push(city), "Sunny") } },
  ];
  const runner = client.chat.completions.runTools({ model: "echo", messages: HELLO, tools });
  assert.match(await runner.finalContent(), /Sunny/);
  assert.equal(asked.length, 1);
  assert.equal(typeof asked[0], "string");
});

test("a response is answered, stored, listed and deleted", async () => {
  const response = await client.responses.create({ model: "ok", input: "Hello", metadata: { topic: "greeting" } });
  assert.equal(response.status, "completed");
  assert.equal(response.output_text, GREETING);
  assert.ok(response.usage.total_tokens > 0);
  assert.equal((await client.responses.retrieve(response.id)).metadata.topic, "greeting");
  const [item] = await collect(client.responses.inputItems.list(response.id));
  assert.equal(item.content[0].text, "Hello");
  await client.responses.delete(response.id);
  await assert.rejects(client.responses.retrieve(response.id), OpenAI.NotFoundError);
});

test("a response is streamed", async () => {
  const events = await collect(await client.responses.create({ model: "ok", input: "Hello", stream: true }));
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), GREETING);
});

test("the response stream helper ends with the response", async () => {
  const response = await client.responses.stream({ model: "ok", input: "Hello" }).finalResponse();
  assert.equal(response.output_text, GREETING);
});

test("a response calls a tool and answers from its output", async () => {
  const tools = [{ type: "function", strict: false, ...WEATHER }];
  const asked = await client.responses.create({ model: "tool", input: "Weather?", tools });
  const [call] = asked.output;
  assert.equal(call.type, "function_call");
  assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
  const answered = await client.responses.create({
    model: "tool",
    previous_response_id: asked.id,
    input: [{ type: "function_call_output", call_id: call.call_id, output: "Rain" }],
    tools,
  });
  assert.equal(answered.output_text, "Rain");
});

test("a response runs in the background and is followed from any point", async () => {
  const stream = await client.responses.create({ model: "ok", input: "Hello", background: true, stream: true });
  const events = await collect(stream);
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  const { id } = events[0].response;
  const tail = await collect(await client.responses.retrieve(id, { stream: true, starting_after: 2 }));
  assert.deepEqual(tail, events.slice(3));
  assert.equal((await client.responses.retrieve(id)).output_text, GREETING);
});

test("a response in the background is cancelled", async () => {
  const { id } = await client.responses.create({ model: "long-500-20", input: "Hello", background: true });
  assert.equal((await client.responses.cancel(id)).status, "cancelled");
});

test("an input is counted", async () => {
  const counted = await client.responses.inputTokens.count({ model: "ok", input: "Hello" });
  assert.equal(counted.object, "response.input_tokens");
  assert.ok(counted.input_tokens > 0);
});

test("a long input is made short and goes on", async () => {
  const input = [{ role: "user", content: "Who spoke here?" }, { role: "assistant", content: "Everybody." }];
  const compacted = await client.responses.compact({ model: "ok", input });
  assert.deepEqual(compacted.output.map((item) => item.type), ["message", "compaction"]);
  assert.ok(compacted.usage.total_tokens > 0);
  const next = [...compacted.output, { role: "user", content: "after compaction" }];
  assert.equal((await client.responses.create({ model: "ok", input: next })).output_text, GREETING);
});

test("three turns follow each other by response", async () => {
  let previous_response_id;
  for (const input of ["one by response", "two by response", "three by response"]) {
    ({ id: previous_response_id } = await client.responses.create({ model: "ok", input, previous_response_id }));
  }
});

test("three turns follow each other in a conversation", async () => {
  const conversation = await client.conversations.create({ metadata: { topic: "turns" } });
  for (const input of ["one in conversation", "two in conversation", "three in conversation"]) {
    await client.responses.stream({ model: "ok", input, conversation: conversation.id }).finalResponse();
  }
  const items = await collect(client.conversations.items.list(conversation.id, { order: "asc", limit: 2 }));
  assert.equal(items.length, 6);
  assert.equal((await client.conversations.delete(conversation.id)).deleted, true);
});

test("a conversation and its items are found, changed and deleted", async () => {
  const { conversations } = client;
  const { id } = await conversations.create({ metadata: { topic: "Rome" }, items: [{ role: "user", content: "one" }] });
  assert.deepEqual((await conversations.update(id, { metadata: { topic: "Ostia" } })).metadata, { topic: "Ostia" });
  assert.deepEqual((await conversations.retrieve(id)).metadata, { topic: "Ostia" });
  const added = await conversations.items.create(id, { items: [{ role: "user", content: "two" }] });
  const [item] = added.data;
  assert.deepEqual(await conversations.items.retrieve(item.id, { conversation_id: id }), item);
  assert.equal((await conversations.items.delete(item.id, { conversation_id: id })).id, id);
  assert.equal((await collect(conversations.items.list(id))).length, 1);
  await conversations.delete(id);
  await assert.rejects(conversations.retrieve(id), OpenAI.NotFoundError);
});

const chat = (parameters) => client.chat.completions.create({ model: "ok", messages: HELLO, ...parameters });
const FAILURES = [
  [400, OpenAI.BadRequestError, () => chat({ temperature: 9 })],
  [401, OpenAI.AuthenticationError, () => sdk("sk-rostra-unknown").models.list()],
  [403, OpenAI.PermissionDeniedError, () => client.patch("/me", { body: { email: "a@example.com", current_password: "wrong" } })],
  [404, OpenAI.NotFoundError, () => chat({ model: "no-such-model" })],
  [409, OpenAI.ConflictError, () => client.post("/auth/register", { body: { email: ROSTRA_EMAIL, password: "correct horse" } })],
  [413, OpenAI.APIError, () => chat({ messages: [{ role: "user", content: "x".repeat(11_000_000) }] })],
  [422, OpenAI.UnprocessableEntityError, () => chat({ model: "status-422" })],
  [500, OpenAI.InternalServerError, () => chat({ model: "status-500" })],
  [503, OpenAI.InternalServerError, () => chat({ model: "status-503", stream: true })],
];

for (const [status, kind, attempt] of FAILURES) {
  test(`${status} is a ${kind.name}`, async () => {
    await assert.rejects(async () => await attempt(), (error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.equal(error.status, status);
      assert.match(error.requestID, /^req_/);
      assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
      return true;
    });
  });
}

test("429 is a RateLimitError that says when to come back", async () => {
  const limited = sdk(ROSTRA_LIMITED_API_KEY);
  await limited.models.list();
  await assert.rejects(async () => await limited.models.list(), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.code, "rate_limit_exceeded");
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
    return true;
  });
});

test("an error within a stream is thrown", async () => {
  const stream = await chat({ model: "error-mid-stream", stream: true });
  await assert.rejects(collect(stream), OpenAI.APIError);
});

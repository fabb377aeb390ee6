// Normalizes a payload, follows the outcomes, disconnects, and goes on where it was.
//
// usage: npm run example -- [HOST:PORT]

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { CallStatus, EndReason } from "../gen/callnorm/v1/classification_pb.js";
import { DeliveryState, NormalizationService } from "../gen/callnorm/v1/normalization_service_pb.js";
import { OutcomeService, type StreamOutcomesResponse, StreamStart } from "../gen/callnorm/v1/outcome_service_pb.js";

const sample = new URL("../../../../adapters/synthflow/testdata/a00_anunzi_page_2024_03.json", import.meta.url);
const sampleCallId = "1711646262471x768387119913843100";
const timeoutMs = 30_000;

function check(condition: boolean, message: string): asserts condition {
  if (!condition) {
    throw new Error(message);
  }
}

// Asks what a payload means. Nothing is stored.
async function normalize(client: Client<typeof NormalizationService>, payload: string) {
  const response = await client.normalize(
    { provider: "anunzi", body: { contentType: "application/json", data: new TextEncoder().encode(payload) } },
    { timeoutMs },
  );
  check(response.faults.length === 0, `the payload could not be normalized: ${response.faults[0]?.detail}`);
  const [outcome] = response.outcomes;
  check(outcome !== undefined && response.outcomes.length === 1, `${response.outcomes.length} outcomes instead of 1`);
  const status = CallStatus[outcome.status];
  const reason = EndReason[outcome.end?.reason ?? EndReason.UNSPECIFIED];
  console.log(`normalized: ${status}, ${reason} (${outcome.end?.reasonRaw})`);
  check(outcome.status === CallStatus.COMPLETED, `status is ${status}`);
  check(outcome.end?.reason === EndReason.AGENT_HANGUP, `end reason is ${reason}`);
}

// Keeps a delivery. When this returns, it is on disk; sending it again would change nothing.
async function ingest(client: Client<typeof NormalizationService>, payload: string, callId: string) {
  const data = new TextEncoder().encode(payload.replace(sampleCallId, callId));
  const response = await client.ingestDelivery(
    { source: "anunzi", body: { contentType: "application/json", data } },
    { timeoutMs },
  );
  check(response.state === DeliveryState.NORMALIZED, `${response.delivery} is ${DeliveryState[response.state]}`);
  check(!response.duplicate, `${response.delivery} was there before`);
}

// Reads the next message: an outcome with its cursor, or a cursor alone.
async function next(stream: AsyncIterator<StreamOutcomesResponse>) {
  const { done, value } = await stream.next();
  check(!done, "the stream ended early");
  return value as StreamOutcomesResponse;
}

// Reads so many outcomes and returns their call ids and the cursor to come back with.
async function read(stream: AsyncIterator<StreamOutcomesResponse>, count: number) {
  const callIds: string[] = [];
  for (;;) {
    const { outcome, cursor } = await next(stream);
    if (outcome) {
      callIds.push(outcome.providerCallId);
    }
    if (callIds.length === count) {
      return { callIds, cursor };
    }
  }
}

function checkSame(received: string[], expected: string[]) {
  check(received.join() === expected.join(), `received ${received.join(", ")} instead of ${expected.join(", ")}`);
}

async function main(address: string) {
  const payload = await readFile(sample, "utf8");
  const callIds = Array.from({ length: 5 }, () => `typescript-${randomUUID()}`);
  const transport = createGrpcTransport({ baseUrl: `http://${address}` });
  const normalization = createClient(NormalizationService, transport);
  const outcomes = createClient(OutcomeService, transport);
  await normalize(normalization, payload);

  // A subscriber that stays connected sets no limit; this one does, so that it fails instead of waiting for ever.
  const limit = AbortSignal.timeout(timeoutMs);
  const first = new AbortController();
  let messages = outcomes.streamOutcomes(
    { filter: { sources: ["anunzi"] }, start: { case: "startAt", value: StreamStart.NOW } },
    { signal: AbortSignal.any([first.signal, limit]) },
  );
  let stream = messages[Symbol.asyncIterator]();
  await read(stream, 0); // the first message tells where the stream begins; nothing after it is missed
  for (const callId of callIds.slice(0, 3)) {
    await ingest(normalization, payload, callId);
  }
  const before = await read(stream, 2);
  first.abort();
  console.log(`ingested 3, received ${before.callIds.length}, disconnected at ${before.cursor}`);
  checkSame(before.callIds, callIds.slice(0, 2));

  for (const callId of callIds.slice(3)) {
    await ingest(normalization, payload, callId);
  }
  const second = new AbortController();
  messages = outcomes.streamOutcomes(
    { filter: { sources: ["anunzi"] }, start: { case: "after", value: before.cursor }, heartbeatInterval: durationFromMs(1000) },
    { signal: AbortSignal.any([second.signal, limit]) },
  );
  stream = messages[Symbol.asyncIterator]();
  const after = await read(stream, 3);
  checkSame(after.callIds, callIds.slice(2));
  const heartbeat = await next(stream);
  check(heartbeat.outcome === undefined, `${heartbeat.outcome?.providerCallId} came unexpectedly`);
  second.abort();
  console.log(`ingested 2 while away, resumed, received exactly the other ${after.callIds.length} in order`);
}

const target = process.argv[2] ?? "127.0.0.1:9090";
try {
  await main(target);
} catch (error) {
  const cause = error instanceof ConnectError ? `${target}: ${Code[error.code]}: ${error.rawMessage}` : String(error);
  console.error(`FAILED: ${cause}`);
  process.exit(1);
}

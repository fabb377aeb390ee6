"""Normalizes a payload, follows the outcomes, disconnects, and goes on where it was.

usage: PYTHONPATH=clients/python/gen python clients/python/example.py [HOST:PORT]
"""

import sys
import uuid
from datetime import timedelta
from pathlib import Path

import grpc
from callnorm.v1 import classification_pb2, normalization_service_pb2, outcome_service_pb2
from callnorm.v1.normalization_service_pb2_grpc import NormalizationServiceStub
from callnorm.v1.outcome_service_pb2_grpc import OutcomeServiceStub
from google.api.httpbody_pb2 import HttpBody

SAMPLE = Path(__file__).parents[2] / "adapters/synthflow/testdata/a00_anunzi_page_2024_03.json"
SAMPLE_CALL_ID = b"1711646262471x768387119913843100"
TIMEOUT = 30  # seconds


def check(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"FAILED: {message}")


def normalize(client: NormalizationServiceStub, payload: bytes) -> None:
    """Asks what a payload means. Nothing is stored."""
    response = client.Normalize(
        normalization_service_pb2.NormalizeRequest(
            provider="anunzi", body=HttpBody(content_type="application/json", data=payload)
        ),
        timeout=TIMEOUT,
    )
    check(not response.faults, f"the payload could not be normalized: {response.faults}")
    check(len(response.outcomes) == 1, f"{len(response.outcomes)} outcomes instead of 1")
    outcome = response.outcomes[0]
    status = classification_pb2.CallStatus.Name(outcome.status)
    reason = classification_pb2.EndReason.Name(outcome.end.reason)
    print(f"normalized: {status}, {reason} ({outcome.end.reason_raw!r})")
    check(outcome.status == classification_pb2.CALL_STATUS_COMPLETED, f"status is {status}")
    check(outcome.end.reason == classification_pb2.END_REASON_AGENT_HANGUP, f"end reason is {reason}")


def ingest(client: NormalizationServiceStub, payload: bytes, call_id: str) -> None:
    """Keeps a delivery. When this returns, it is on disk; sending it again would change nothing."""
    response = client.IngestDelivery(
        normalization_service_pb2.IngestDeliveryRequest(
            source="anunzi",
            body=HttpBody(content_type="application/json", data=payload.replace(SAMPLE_CALL_ID, call_id.encode())),
        ),
        timeout=TIMEOUT,
    )
    state = normalization_service_pb2.DeliveryState.Name(response.state)
    check(response.state == normalization_service_pb2.DELIVERY_STATE_NORMALIZED, f"{response.delivery} is {state}")
    check(not response.duplicate, f"{response.delivery} was there before")


def read(stream: grpc.Call, count: int) -> tuple[list[str], str]:
    """Reads so many outcomes and returns their call ids and the cursor to come back with."""
    call_ids = []
    for message in stream:
        if message.HasField("outcome"):  # else the message only tells the position
            call_ids.append(message.outcome.provider_call_id)
        if len(call_ids) == count:
            return call_ids, message.cursor
    raise SystemExit("FAILED: the stream ended early")


def main(address: str) -> None:
    payload = SAMPLE.read_bytes()
    call_ids = [f"python-{uuid.uuid4()}" for _ in range(5)]
    with grpc.insecure_channel(address) as channel:
        normalization, outcomes = NormalizationServiceStub(channel), OutcomeServiceStub(channel)
        normalize(normalization, payload)

        # A subscriber that stays connected sets no timeout; this one does, so that it fails instead of waiting for ever.
        request = outcome_service_pb2.StreamOutcomesRequest(
            filter=outcome_service_pb2.OutcomeFilter(sources=["anunzi"]), start_at=outcome_service_pb2.STREAM_START_NOW
        )
        stream = outcomes.StreamOutcomes(request, timeout=TIMEOUT)
        read(stream, 0)  # the first message tells where the stream begins; nothing after it is missed
        for call_id in call_ids[:3]:
            ingest(normalization, payload, call_id)
        before, cursor = read(stream, 2)
        stream.cancel()
        print(f"ingested 3, received {len(before)}, disconnected at {cursor}")
        check(before == call_ids[:2], f"received {before} instead of {call_ids[:2]}")

        for call_id in call_ids[3:]:
            ingest(normalization, payload, call_id)
        request = outcome_service_pb2.StreamOutcomesRequest(
            filter=outcome_service_pb2.OutcomeFilter(sources=["anunzi"]), after=cursor, heartbeat_interval=timedelta(seconds=1)
        )
        stream = outcomes.StreamOutcomes(request, timeout=TIMEOUT)
        after, _ = read(stream, 3)
        check(after == call_ids[2:], f"received {after} instead of {call_ids[2:]}")
        heartbeat = next(stream)
        check(not heartbeat.HasField("outcome"), f"{heartbeat.outcome.provider_call_id} came unexpectedly")
        stream.cancel()
        print(f"ingested 2 while away, resumed, received exactly the other {len(after)} in order")


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9090"
    try:
        main(target)
    except grpc.RpcError as error:
        sys.exit(f"FAILED: {target}: {error.code().name}: {error.details()}")

"""A protoc plugin that generates messages, their type stubs (.pyi) and gRPC stubs with the compiler of grpcio-tools.

It reads a CodeGeneratorRequest from standard input and writes a CodeGeneratorResponse to standard output.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2

# These files come with published packages (protobuf, googleapis-common-protos). A second copy in one process would clash.
PUBLISHED = "google/"


def generate(request: plugin_pb2.CodeGeneratorRequest) -> plugin_pb2.CodeGeneratorResponse:
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        | plugin_pb2.CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS,
        minimum_edition=descriptor_pb2.EDITION_PROTO2,
        maximum_edition=descriptor_pb2.EDITION_2023,
    )
    wanted = [path for path in request.file_to_generate if not path.startswith(PUBLISHED)]
    services = [file.name for file in request.proto_file if file.name in wanted and file.service]
    with tempfile.TemporaryDirectory() as folder:
        descriptors = Path(folder, "descriptors")
        descriptors.write_bytes(descriptor_pb2.FileDescriptorSet(file=request.proto_file).SerializeToString())
        out = Path(folder, "out")
        out.mkdir()
        for files, options in (
            (wanted, [f"--python_out={out}", f"--pyi_out={out}"]),
            (services, [f"--grpc_python_out={out}"]),
        ):
            if not files:
                continue
            command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={descriptors}", *options, *files]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                response.error = done.stderr or f"{' '.join(command)}: exit code {done.returncode}"
                return response
        for path in sorted(path for path in out.rglob("*") if path.is_file()):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text(encoding="utf-8"))
    return response


if __name__ == "__main__":
    answer = generate(plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(answer.SerializeToString())

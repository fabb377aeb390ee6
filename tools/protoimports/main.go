// Command protoimports prints the .proto files that our contract imports, from the descriptors that its Go modules carry,
// into a folder. So `make generate` needs no registry and nothing of others is kept in this repository.
package main

import (
	"fmt"
	"os"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/v2/protoprint"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// imports are the files that proto/ imports, apart from those that every compiler brings along.
var imports = []string{
	"buf/validate/validate.proto",
	"google/api/annotations.proto",
	"google/api/client.proto",
	"google/api/field_behavior.proto",
	"google/api/http.proto",
	"google/api/httpbody.proto",
	"google/api/launch_stage.proto",
	"google/api/resource.proto",
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protoimports FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "protoimports:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	files := make([]protoreflect.FileDescriptor, 0, len(imports))
	for _, path := range imports {
		file, err := protoregistry.GlobalFiles.FindFileByPath(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		files = append(files, file)
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return (&protoprint.Printer{}).PrintProtosToFileSystem(files, folder)
}

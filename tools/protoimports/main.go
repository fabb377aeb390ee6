// Command protoimports prints the .proto files that our contract imports, from the descriptors that its Go modules carry,
// into a folder. So `make generate` needs no registry and nothing of others is kept in this repository.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

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
	// Another make may be reading the folder: it is replaced as a whole, and only when something differs.
	parent := filepath.Dir(filepath.Clean(folder))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(parent, "protoimports-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := (&protoprint.Printer{}).PrintProtosToFileSystem(files, fresh); err != nil {
		return err
	}
	if same(fresh, folder) {
		return nil
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return os.Rename(fresh, folder)
}

// same tells whether both folders hold the imports with the same text.
func same(a, b string) bool {
	for _, path := range imports {
		one, err := os.ReadFile(filepath.Join(a, path))
		if err != nil {
			return false
		}
		other, err := os.ReadFile(filepath.Join(b, path))
		if err != nil || !bytes.Equal(one, other) {
			return false
		}
	}
	return true
}

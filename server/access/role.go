package access

import (
	"fmt"
	"slices"
)

// Role is what a reader may do.
type Role string

// The roles.
const (
	// RoleRead sees outcomes and normalizes.
	RoleRead Role = "read"
	// RoleIngest hands deliveries in, as relays do.
	RoleIngest Role = "ingest"
	// RoleOperate does everything, the other roles' part as well.
	RoleOperate Role = "operate"
)

// Roles lists all roles.
func Roles() []Role { return []Role{RoleRead, RoleIngest, RoleOperate} }

// ParseRole returns the role that a configuration names.
func ParseRole(text string) (Role, error) {
	if role := Role(text); slices.Contains(Roles(), role) {
		return role, nil
	}
	return "", fmt.Errorf("there is no role %q; the roles are %v", text, Roles())
}

// Policy tells what a call needs.
type Policy struct {
	// Methods maps the full name of a method, "/callnorm.v1.OutcomeService/GetOutcome", or the path of a route that is no method,
	// "/metrics", to the role it needs. What is missing needs RoleOperate, so that a forgotten one is closed. Health and
	// reflection need RoleRead unless they are named.
	Methods map[string]Role
	// OpenHouse lets everyone do everything while there are no readers. It is for processes that listen on loopback alone; all
	// others are closed to everyone without readers.
	OpenHouse bool
}

// standard are the methods of gRPC itself.
var standard = map[string]Role{
	"/grpc.health.v1.Health/Check":                                   RoleRead,
	"/grpc.health.v1.Health/List":                                    RoleRead,
	"/grpc.health.v1.Health/Watch":                                   RoleRead,
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      RoleRead,
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": RoleRead,
}

// role returns the role that a method needs.
func (p *Policy) role(method string) Role {
	for _, methods := range []map[string]Role{p.Methods, standard} {
		if role := methods[method]; role != "" {
			return role
		}
	}
	return RoleOperate
}

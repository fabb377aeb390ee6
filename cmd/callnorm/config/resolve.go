package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
)

var properName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

const properNames = "takes 1 to 63 characters of a-z, 0-9 and -"

// resolve fills in the defaults, checks everything, and returns what came out.
func (l *load) resolve(doc *document) *Config {
	fill(l, &doc.HTTPAddr, DefaultHTTPAddr)
	fill(l, &doc.GRPCAddr, DefaultGRPCAddr)
	fill(l, &doc.DataDir, DefaultDataDir)
	if doc.DataDir == "" {
		l.problemf(&doc.DataDir, "is empty")
	}
	config := &Config{
		PublicAddr: doc.PublicAddr, HTTPAddr: doc.HTTPAddr, GRPCAddr: doc.GRPCAddr, DataDir: doc.DataDir, effective: doc,
		TLS: l.tls(doc.TLS), TrustedProxies: l.proxies(doc.TrustedProxies), Limits: l.limits(&doc.Limits),
	}
	l.publicURL(&doc.PublicURL)
	config.HoldKey = l.holdKey(doc.HoldKey)
	config.Readers = l.readers(doc)
	local := l.addresses(doc)
	config.Sources = l.sources(doc, local)
	config.Warnings = l.warnings
	return config
}

// addresses checks where the server listens, and tells whether only this machine reaches it.
func (l *load) addresses(doc *document) (local bool) {
	local = true
	list := []*string{&doc.HTTPAddr, &doc.GRPCAddr}
	if doc.PublicAddr != "" {
		list = append(list, &doc.PublicAddr)
	}
	type listener struct {
		host, port string
		path       string
	}
	var before []listener
	for _, field := range list {
		host, port, err := net.SplitHostPort(*field)
		if number, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || strconv.FormatUint(number, 10) != port {
			l.problemf(field, "%q is no address: it takes HOST:PORT", printable(*field))
			continue
		}
		for _, other := range before {
			if port != "0" && port == other.port && (host == other.host || everywhere(host) || everywhere(other.host)) {
				l.problemf(field, "is taken by %s already", other.path)
				break
			}
		}
		before = append(before, listener{host, port, l.places[field].path})
		if near, err := access.IsLoopback(*field); err == nil && near {
			continue
		}
		local = false
		if field != &doc.PublicAddr && len(doc.Readers) == 0 {
			l.problemf(field, "%q is reachable from outside: list under readers who may read, or listen on 127.0.0.1", printable(*field))
		}
		if doc.TLS == nil {
			l.warningf(field, "%q is reachable from outside without tls: what is sent there, and who sends it, is only as private as the way to it", printable(*field))
		}
	}
	return local
}

func everywhere(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// tls checks the files for all listeners as the server will.
func (l *load) tls(files *tlsFiles) TLS {
	if files == nil || l.wrong(files) {
		return TLS{}
	}
	fields := []*string{&files.CertFile, &files.KeyFile, &files.ClientCAFile}
	for _, file := range fields {
		*file = l.absolute(*file)
	}
	for _, needed := range fields[:2] {
		if *needed == "" {
			l.rejectf(needed, "is missing")
		}
	}
	_, err := access.LoadTLS(access.Files{Cert: files.CertFile, Key: files.KeyFile, ClientCA: files.ClientCAFile})
	for _, err := range leaves(err) {
		at, text := any(files), err.Error()
		if failed, ok := errors.AsType[*access.FileError](err); ok {
			text = printable(failed.Path) + ": " + failed.Err.Error()
			if i := slices.IndexFunc(fields, func(field *string) bool { return *field == failed.Path }); i >= 0 {
				at = fields[i]
			}
		}
		l.problemf(at, "%s", text)
	}
	l.guardedFile(&files.KeyFile)
	return TLS{CertFile: files.CertFile, KeyFile: files.KeyFile, ClientCAFile: files.ClientCAFile}
}

// proxies reads networks, and addresses as networks of one.
func (l *load) proxies(list []string) []netip.Prefix {
	var networks []netip.Prefix
	for i, text := range list {
		network, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil:
			l.problemf(&list[i], "takes an address or a network, like 192.0.2.7 or 10.0.0.0/8")
		case network != network.Masked():
			l.problemf(&list[i], "has bits beyond its length: %s is meant, or another length", network.Masked())
		case network.Bits() == 0:
			l.problemf(&list[i], "trusts everybody, who could then claim any address")
		case network.Addr().Is4In6():
			l.problemf(&list[i], "takes an IPv4 address as it is")
		default:
			networks = append(networks, network)
		}
	}
	return networks
}

// unknownURL stands for a URL that is missing or wrong, to see what else is.
const unknownURL = "https://hooks.invalid"

// publicURL checks an address under which a platform reaches the doors as every verifier would, whether there is one or not.
func (l *load) publicURL(field *string) {
	const anySecret = "0123456789abcdef"
	if *field != "" {
		_, err := signature.New(signature.Settings{Scheme: signature.SchemeTwilio, PublicURL: *field}, []signature.Secret{anySecret})
		for _, text := range each(err) {
			l.rejectf(field, "%s", strings.TrimPrefix(text, "the public URL "))
		}
	}
	if l.wrong(field) {
		*field = unknownURL
	}
}

func (l *load) holdKey(r *reference) signature.Secret {
	key, ok := l.secret(r)
	if ok {
		l.guarded(r)
	}
	if !ok {
		return ""
	}
	if len(key) < minHoldKey {
		l.problemf(r, "is too short: it takes at least %d bytes, as openssl rand -base64 32 makes them", minHoldKey)
	}
	l.own(r, key, -1)
	return key
}

// limits fills in what was not set, and checks that the whole makes sense.
func (l *load) limits(doc *limits) server.Limits {
	const (
		longest                          = time.Hour
		leastHeader, greatestHeader size = 4 << 10, 16 << 20
	)
	usual := server.DefaultLimits()
	inflight := size(usual.InflightBytes)
	fill(l, &doc.Connections, usual.Connections)
	fill(l, &doc.ConnectionsPerAddress, min(usual.ConnectionsPerAddress, doc.Connections))
	fill(l, &doc.InflightBytes, inflight)
	fill(l, &doc.HeaderBytes, size(usual.HeaderBytes))
	fill(l, &doc.ReadTimeout, usual.ReadTimeout)
	fill(l, &doc.ReadHeaderTimeout, min(usual.ReadHeaderTimeout, doc.ReadTimeout))
	fill(l, &doc.WriteTimeout, usual.WriteTimeout)
	fill(l, &doc.IdleTimeout, usual.IdleTimeout)
	fill(l, &doc.MinPace, size(usual.MinPace))

	if doc.Connections < 1 {
		l.problemf(&doc.Connections, "takes at least 1")
	}
	if doc.ConnectionsPerAddress < 1 {
		l.problemf(&doc.ConnectionsPerAddress, "takes at least 1")
	}
	if doc.ConnectionsPerAddress > doc.Connections {
		l.problemf(&doc.ConnectionsPerAddress, "is more than connections, %d", doc.Connections)
	}
	if doc.InflightBytes < 1 {
		l.rejectf(&doc.InflightBytes, "takes at least 1")
		fill(l, &doc.InflightBytes, inflight)
	}
	if doc.HeaderBytes < leastHeader || doc.HeaderBytes > greatestHeader {
		l.problemf(&doc.HeaderBytes, "takes %s to %s", leastHeader, greatestHeader)
	}
	for _, timeout := range []*time.Duration{&doc.ReadHeaderTimeout, &doc.ReadTimeout, &doc.WriteTimeout, &doc.IdleTimeout} {
		if *timeout < time.Millisecond || *timeout > longest {
			l.problemf(timeout, "takes 1ms to 1h")
		}
	}
	if doc.ReadHeaderTimeout > doc.ReadTimeout {
		l.problemf(&doc.ReadHeaderTimeout, "is longer than read_timeout, %s, which includes it", duration(doc.ReadTimeout))
	}
	return server.Limits{
		Connections: doc.Connections, ConnectionsPerAddress: doc.ConnectionsPerAddress, InflightBytes: int64(doc.InflightBytes),
		AddressRate: l.rate(&doc.AddressRate), HeaderBytes: int(doc.HeaderBytes),
		ReadHeaderTimeout: doc.ReadHeaderTimeout, ReadTimeout: doc.ReadTimeout, WriteTimeout: doc.WriteTimeout, IdleTimeout: doc.IdleTimeout,
		MinPace: int64(doc.MinPace),
	}
}

// rate fills in the burst: what comes in one second, and at least one.
func (l *load) rate(doc *rate) intake.Rate {
	const most = 1e6
	switch {
	case doc.PerSecond > most:
		l.problemf(&doc.PerSecond, "takes up to 1000000")
		return intake.Rate{}
	case doc.PerSecond == 0 && doc.Burst > 0:
		l.rejectf(&doc.PerSecond, "is missing beside burst")
	case doc.PerSecond > 0 && l.has(&doc.Burst) && doc.Burst == 0:
		l.problemf(&doc.Burst, "takes at least 1: nothing would pass")
	case doc.PerSecond > 0 && doc.Burst == 0:
		doc.Burst = max(1, int(doc.PerSecond))
	}
	return intake.Rate{PerSecond: doc.PerSecond, Burst: doc.Burst}
}

// readers checks who may read.
func (l *load) readers(doc *document) []access.Reader {
	var list []access.Reader
	names, certificates := make(map[string]bool), make(map[string]string)
	for _, configured := range doc.Readers {
		if configured == nil || l.wrong(configured) {
			continue
		}
		l.name(&configured.Name, names, "reader")
		if !l.has(&configured.Roles) {
			configured.Roles = []string{string(access.RoleRead)}
		}
		one(l, &configured.Token, &configured.Tokens, "tokens")
		if len(configured.Tokens) == 0 && len(configured.Certificates) == 0 && !l.wrong(&configured.Tokens) && !l.wrong(&configured.Certificates) {
			l.problemf(configured, "takes a token or certificates")
		}
		reader := access.Reader{Name: configured.Name, Roles: l.roles(configured), Certificates: configured.Certificates}
		for _, r := range configured.Tokens {
			token, ok := l.secret(r)
			if !ok {
				continue
			}
			l.guarded(r)
			if len(token) < minToken {
				l.problemf(r, "is too short: it takes at least %d bytes", minToken)
			} else if strings.ContainsFunc(string(token), func(char rune) bool { return char <= ' ' || char > '~' }) {
				l.problemf(r, "takes visible ASCII characters: it has to fit into a header")
			}
			l.own(r, token, -1)
			reader.Tokens = append(reader.Tokens, token)
		}
		for i, name := range configured.Certificates {
			field, path := &configured.Certificates[i], l.places[&configured.Certificates[i]].path
			switch {
			case name == "":
				l.problemf(field, "is empty")
			case certificates[name] != "":
				l.problemf(field, "is the same as %s", certificates[name])
			}
			certificates[name] = path
		}
		if len(configured.Certificates) > 0 && (doc.TLS == nil || doc.TLS.ClientCAFile == "") {
			l.problemf(&configured.Certificates, "takes tls with a client_ca_file, which signs them")
		}
		list = append(list, reader)
	}
	return list
}

func (l *load) roles(configured *reader) []access.Role {
	var all []string
	for _, role := range access.Roles() {
		all = append(all, string(role))
	}
	if len(configured.Roles) == 0 && !l.wrong(&configured.Roles) {
		l.problemf(&configured.Roles, "is empty; there are: %s", strings.Join(all, ", "))
	}
	var roles []access.Role
	for i, text := range configured.Roles {
		role, err := access.ParseRole(text)
		switch {
		case err != nil:
			l.problemf(&configured.Roles[i], "is none of %s%s", strings.Join(all, ", "), didYouMean(text, all))
		case slices.Contains(roles, role):
			l.problemf(&configured.Roles[i], "stands here for the second time")
		default:
			roles = append(roles, role)
		}
	}
	return roles
}

// name checks a name that must be unique.
func (l *load) name(field *string, taken map[string]bool, what string) {
	switch {
	case *field == "" && !l.has(field):
		l.problemf(field, "is missing")
	case !properName.MatchString(*field):
		l.problemf(field, properNames)
	case taken[*field]:
		l.problemf(field, "another %s has it already", what)
	}
	taken[*field] = true
}

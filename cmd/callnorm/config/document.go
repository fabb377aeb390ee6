package config

import "time"

// document is the file, key for key. "always" is printed even where it is zero.
type document struct {
	PublicAddr     string     `yaml:"public_addr"`
	HTTPAddr       string     `yaml:"http_addr"`
	GRPCAddr       string     `yaml:"grpc_addr"`
	DataDir        string     `yaml:"data_dir"`
	TLS            *tlsFiles  `yaml:"tls"`
	PublicURL      string     `yaml:"public_url"`
	TrustedProxies []string   `yaml:"trusted_proxies"`
	HoldKey        *reference `yaml:"hold_key"`
	Limits         limits     `yaml:"limits"`
	Readers        []*reader  `yaml:"readers"`
	Sources        []*source  `yaml:"sources"`
}

type tlsFiles struct {
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	ClientCAFile string `yaml:"client_ca_file"`
}

type limits struct {
	Connections           int           `yaml:"connections"`
	ConnectionsPerAddress int           `yaml:"connections_per_address"`
	InflightBytes         size          `yaml:"inflight_bytes"`
	AddressRate           rate          `yaml:"address_rate"`
	HeaderBytes           size          `yaml:"header_bytes"`
	ReadHeaderTimeout     time.Duration `yaml:"read_header_timeout"`
	ReadTimeout           time.Duration `yaml:"read_timeout"`
	WriteTimeout          time.Duration `yaml:"write_timeout"`
	IdleTimeout           time.Duration `yaml:"idle_timeout"`
	MinPace               size          `yaml:"min_pace,always"`
}

type rate struct {
	PerSecond float64 `yaml:"per_second,always"`
	Burst     int     `yaml:"burst,always"`
}

type reader struct {
	Name         string       `yaml:"name"`
	Roles        []string     `yaml:"roles"`
	Token        *reference   `yaml:"token"`
	Tokens       []*reference `yaml:"tokens"`
	Certificates []string     `yaml:"certificates"`
}

type source struct {
	Name         string        `yaml:"name"`
	Adapter      string        `yaml:"adapter"`
	Provider     string        `yaml:"provider"`
	Event        string        `yaml:"event"`
	Group        string        `yaml:"group"`
	MaxBodyBytes size          `yaml:"max_body_bytes"`
	Enabled      bool          `yaml:"enabled,always"`
	PublicURL    string        `yaml:"public_url"`
	Rate         *rate         `yaml:"rate"`
	Hold         *hold         `yaml:"hold"`
	SettleAfter  time.Duration `yaml:"settle_after"`
	Redact       []string      `yaml:"redact"`
	Retention    *retention    `yaml:"retention"`
	Unverified   bool          `yaml:"unverified"`
	Verification *verification `yaml:"verification"`
}

type retention struct {
	Age        age  `yaml:"age"`
	Bytes      size `yaml:"bytes"`
	Deliveries age  `yaml:"deliveries"`
}

// hold is also written as true or false.
type hold struct {
	Requests int  `yaml:"requests"`
	Bytes    size `yaml:"bytes"`
	off      bool
}

type verification struct {
	Scheme          string        `yaml:"scheme"`
	Secret          *reference    `yaml:"secret"`
	Secrets         []*reference  `yaml:"secrets"`
	Header          string        `yaml:"header"`
	Headers         []string      `yaml:"headers"`
	Hash            string        `yaml:"hash"`
	Encoding        string        `yaml:"encoding"`
	Prefix          string        `yaml:"prefix"`
	SignatureKey    string        `yaml:"signature_key"`
	TimestampKey    string        `yaml:"timestamp_key"`
	TimestampHeader string        `yaml:"timestamp_header"`
	TimestampUnit   string        `yaml:"timestamp_unit"`
	Signed          text          `yaml:"signed"`
	Tolerance       time.Duration `yaml:"tolerance"`
	SecretEncoding  string        `yaml:"secret_encoding"`
	Keys            []*reference  `yaml:"keys"`
	// note says in print what the words came to.
	note string
}

// size is a number of bytes, written as a number or with KiB, MiB or GiB.
type size int64

// age is a time, written with its unit, days among them.
type age time.Duration

// text may have several lines. A string has one.
type text string

// reference tells where a secret is.
type reference struct {
	File string `yaml:"file"`
	Env  string `yaml:"env"`
}

package config

// Example is a configuration file that shows what there is. Its files have to be made before it can be read.
const Example = `# Secrets never stand in this file, only where they are: {file: FILE}, relative to this file, or {env: NAME}.
public_addr: 0.0.0.0:8443               # webhooks and liveness, nothing else
http_addr: 127.0.0.1:8080               # everything: REST, metrics, readiness
grpc_addr: 127.0.0.1:9090
data_dir: /var/lib/callnorm
public_url: https://hooks.example.com   # for providers that sign the URL; with the part of the path that a proxy removes
# tls: {cert_file: server.pem, key_file: server.key, client_ca_file: readers-ca.pem}   # then all three speak TLS
# trusted_proxies: [10.0.0.0/8]         # whose forwarded headers are believed
# The connections are those of each listener.
limits: {connections: 4096, connections_per_address: 1024, inflight_bytes: 64MiB, read_timeout: 30s, min_pace: 1KiB}
hold_key: {file: hold.key}              # made by: openssl rand -base64 32 > hold.key

# Who may read. These three lines are enough for http_addr and grpc_addr outside loopback.
readers:
  - name: crm
    token: {file: crm.token}            # made by: openssl rand -hex 32 > crm.token

sources:
  - name: sales-calls                   # POST /v1/webhooks/sales-calls
    adapter: synthflow
    provider: anunzi
    hold: true                          # keep what is refused, encrypted, to verify it again after a mistake of ours
    rate: {per_second: 50, burst: 100}
    verification:
      scheme: hmac
      header: X-Signature
      signed: "{field:call_id|call.call_id}"
      secrets: [{file: sales.secret}, {env: SALES_SECRET_BEFORE}]   # newest first; both are taken
  - name: trials
    adapter: voxia
    unverified: true                    # takes what anybody sends
    settle_after: 15m                   # how long a call that has ended waits for its analysis before it is final without it
    redact: [numbers, names]            # also transcript and extracted_fields: what outcomes do not hold
    retention: {age: 365d, bytes: 10GiB, deliveries: 7d}   # calls; calls and all; what was sent, byte for byte
`

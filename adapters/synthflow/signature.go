package synthflow

import "github.com/callnorm/callnorm/internal/signature"

// Signature tells how Synthflow signs: an HMAC over the id of the call and nothing else, so who saw one signature can send any
// other body about the same call. The documentation writes the header HTTP_SYNTHFLOW_SIGNATURE, which is how a server for Python
// shows it; receivers have met the other names, and base64 as well as hex.
//
// Normalize takes the first id of a body that it comes upon, in the call or beside it, in either spelling. All that are there must
// be the signed one; otherwise a signature for one call would do for another.
func (*Adapter) Signature() signature.Settings {
	return signature.Settings{
		Scheme:   signature.SchemeHMAC,
		Headers:  []string{"Synthflow-Signature", "X-Synthflow-Signature", "HTTP-Synthflow-Signature"},
		Encoding: "any",
		Signed:   "{field:call.call_id|call_id|call.Call_id|Call_id}",
	}
}

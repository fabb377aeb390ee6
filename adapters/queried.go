package adapters

// Queried is an optional interface of adapters whose providers deliver by GET where the customer wants it: what else stands in the
// body of a form is the query then. Without it, a source takes POST alone.
type Queried interface {
	// ReadsQuery tells whether Normalize reads Delivery.Query where there is no body.
	ReadsQuery() bool
}

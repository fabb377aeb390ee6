package access

import (
	"errors"
	"net/http"
)

// HTTP lets requests through whose sender is known, with the principal in their context and without their Authorization. It does
// not decide what they may do: Principal.May does that where it is known what they ask for, DialOptions for the routes of a gateway.
//
// What public is true for needs no credential; it must judge a request as the handler behind it does. refuse answers with
// ErrUnauthenticated (401) or ErrForeign (403). What a browser sends for a page of another site is foreign: it is refused while the
// house is open, and on public routes as long as the house could be open, because sources on loopback may prove nothing.
func (g *Gate) HTTP(next http.Handler, public func(*http.Request) bool, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isPublic := public(r)
		if g.Open() || isPublic && g.policy.OpenHouse {
			if err := domestic(r, isPublic); err != nil {
				refuse(w, r, err)
				return
			}
		}
		if isPublic {
			next.ServeHTTP(w, r)
			return
		}
		principal, err := g.Authenticate(r)
		if err != nil {
			if errors.Is(err, ErrUnauthenticated) {
				w.Header().Set("WWW-Authenticate", `Bearer realm="callnorm"`)
			}
			refuse(w, r, err)
			return
		}
		r = r.Clone(With(r.Context(), principal))
		r.Header.Del("Authorization") // Nobody behind the gate has a use for it.
		next.ServeHTTP(w, r)
	})
}

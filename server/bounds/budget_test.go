package bounds

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudgetWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(10, time.Second)
		first, second := &claim{budget: budget}, &claim{budget: budget}
		must(t, first.grow(t.Context(), 8))
		go func() {
			time.Sleep(900 * time.Millisecond)
			first.release()
		}()
		start := time.Now()
		must(t, second.grow(t.Context(), 5))
		if waited := time.Since(start); waited != 900*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		if got := budget.InFlight(); got != 5 {
			t.Errorf("%d bytes in flight", got)
		}
	})
}

func TestBudgetRefusesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(10, time.Second)
		first := &claim{budget: budget}
		must(t, first.grow(t.Context(), 8))

		start := time.Now()
		late := &claim{budget: budget}
		must(t, late.grow(t.Context(), 2))
		if err := late.grow(t.Context(), 3); !errors.Is(err, ErrOverloaded) {
			t.Errorf("error %v", err)
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v", waited)
		}
		if got := budget.InFlight(); got != 8 {
			t.Errorf("%d bytes in flight: who is refused gives back what it held", got)
		}

		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := late.grow(canceled, 3); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		start = time.Now()
		if err := late.grow(t.Context(), 11); !errors.Is(err, ErrOverloaded) || time.Since(start) != 0 {
			t.Errorf("what can never fit: %v after %v", err, time.Since(start))
		}
		first.release()
		first.release()
		if got := budget.InFlight(); got != 0 {
			t.Errorf("%d bytes in flight", got)
		}
	})
}

// Bodies that hold half of what they need, and all of the budget, start to wait at the same moment.
func TestBodiesThatWaitForEachOtherDoNotAllFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bodies = 50
		budget := NewBudget(bodies, time.Second)
		var through sync.Map
		for i := range bodies {
			go func() {
				mine := &claim{budget: budget}
				if err := mine.grow(t.Context(), 1); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
				if mine.grow(t.Context(), 1) == nil {
					through.Store(i, true)
				}
				mine.release()
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		count := 0
		through.Range(func(any, any) bool { count++; return true })
		if count == 0 {
			t.Error("none got through")
		}
		if got := budget.InFlight(); got != 0 {
			t.Errorf("%d bytes in flight", got)
		}
	})
}

func TestWhoHoldsSomethingComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(10, time.Second)
		full, half, fresh := &claim{budget: budget}, &claim{budget: budget}, &claim{budget: budget}
		must(t, full.grow(t.Context(), 6))
		must(t, half.grow(t.Context(), 4))
		var order []string
		go func() {
			must(t, fresh.grow(t.Context(), 6))
			order = append(order, "fresh")
			fresh.release()
		}()
		synctest.Wait()
		go func() {
			must(t, half.grow(t.Context(), 6))
			order = append(order, "half")
			half.release()
		}()
		synctest.Wait()
		full.release()
		synctest.Wait()
		if len(order) != 2 || order[0] != "half" {
			t.Errorf("order: %v", order)
		}
	})
}

func TestBudgetIsNeverExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total = 100
		budget := NewBudget(total, 10*time.Millisecond)
		for i := range uint64(40) {
			go func() {
				random := rand.New(rand.NewPCG(1, i))
				for range 100 {
					mine := &claim{budget: budget}
					for mine.grow(t.Context(), random.Int64N(30)) == nil && mine.held < 80 {
						time.Sleep(time.Duration(random.Int64N(int64(4 * time.Millisecond))))
						if got := budget.InFlight(); got > total {
							t.Errorf("%d bytes in flight", got)
						}
						if random.IntN(4) == 0 {
							mine.shrink(random.Int64N(20))
						}
					}
					mine.release()
				}
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := budget.InFlight(); got != 0 || budget.pools[0].wanted+budget.pools[0].leaving != 0 || budget.receiving.Len() != 0 {
			t.Errorf("%d bytes in flight", got)
		}
	})
}

func TestNoBudgetIsUnlimited(t *testing.T) {
	mine := &claim{}
	must(t, mine.grow(t.Context(), 1<<60))
	mine.shrink(1)
	mine.release()
	if got := (*Budget)(nil).InFlight(); got != 0 {
		t.Errorf("%d bytes in flight", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// harm is what was done to the files of a store.
type harm struct {
	what string
	// pages is how many pages were changed at most, of a database of so many.
	pages, of int
	// everything tells that the database itself was deleted, journal that all or a part of its journal was.
	everything, journal bool
}

const (
	damagedFile = "callnorm.db"
	pageBytes   = 4096
	// onAPage is how many things that are asked for may stand on one page: small rows of the log, of outcomes and of contributions,
	// whose outcome lacks a revision then.
	onAPage = 120
)

// most is how many things may be missing after it at most.
func (h harm) most(from, closed vault) int {
	if h.journal {
		// What was there before the journal was begun has to come back.
		return len(from.truth.deliveries) + len(from.truth.newest) + len(from.truth.log) -
			len(closed.truth.deliveries) - len(closed.truth.newest)
	}
	return h.pages * onAPage
}

// vandalize damages one file in one way.
func vandalize(dir string, random *rand.Rand) (harm, error) {
	file := filepath.Join(dir, damagedFile)
	journal := false
	if info, err := os.Stat(file + "-wal"); err == nil && info.Size() > 0 && random.IntN(2) == 0 {
		file, journal = file+"-wal", true
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return harm{}, err
	}
	size := len(content)
	h := harm{of: size / pageBytes, pages: 1, journal: journal}
	at, page := random.IntN(size), random.IntN(size/pageBytes)*pageBytes
	switch kind := random.IntN(100); {
	case kind < 40:
		content[at] ^= 1 << random.IntN(8)
		h.what = fmt.Sprintf("a bit at %d", at)
	case kind < 55:
		was := content[at]
		for content[at] == was {
			content[at] = byte(random.Uint32())
		}
		h.what = fmt.Sprintf("a byte at %d", at)
	case kind < 65:
		run := min(1+random.IntN(2000), size-at)
		for i := range run {
			content[at+i] = byte(random.Uint32())
		}
		h.pages, h.what = 2, fmt.Sprintf("%d bytes at %d", run, at)
	case kind < 75:
		clear(content[page : page+pageBytes])
		h.what = fmt.Sprintf("zeros on page %d", page/pageBytes+1)
	case kind < 83:
		other := random.IntN(size/pageBytes) * pageBytes
		for i := range pageBytes {
			content[page+i], content[other+i] = content[other+i], content[page+i]
		}
		h.pages, h.what = 2, fmt.Sprintf("pages %d and %d exchanged", page/pageBytes+1, other/pageBytes+1)
	case kind < 93:
		content = content[:at]
		h.pages, h.what = (size-at)/pageBytes+2, fmt.Sprintf("cut from %d to %d", size, at)
	case journal:
		h.what = "deleted"
		return h.in(file), os.Remove(file)
	default:
		other := []string{damagedFile, "callnorm.lock", "callnorm.mark", "rejections.db"}[random.IntN(4)]
		h.what, h.everything = "deleted", other == damagedFile
		err := os.Remove(filepath.Join(dir, other))
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return h.in(other), err
	}
	return h.in(file), os.WriteFile(file, content, 0o600) //nolint:gosec // the caller has made the directory
}

func (h harm) in(file string) harm {
	h.what = filepath.Base(file) + ": " + h.what
	return h
}

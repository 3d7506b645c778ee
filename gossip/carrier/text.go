package carrier

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
)

// prefix begins the text form of a chunk.
const prefix = "TLC1:"

// maxText is more than any text form has.
const maxText = len(prefix) + 2*8 + (MaxChunk*8+4)/5

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

// Text returns a chunk as a line of text, without a line end. The error is ErrChunk.
func Text(chunk []byte) (string, error) {
	h, l, _, err := parseChunk(chunk)
	if err != nil {
		return "", err
	}
	return text(h, l, chunk), nil
}

func text(h head, l layout, chunk []byte) string {
	return prefix + strconv.Itoa(h.number) + "/" + strconv.Itoa(l.chunks()) + ":" + base32Text.EncodeToString(chunk)
}

// ParseText returns the chunk in a line of text. What stands before it, and after a blank behind it,
// is ignored, so that it is found in a log or a quotation; only the first is. The error is ErrChunk.
func ParseText(line string) ([]byte, error) {
	form, ok := find(line)
	if !ok {
		return nil, fmt.Errorf("%w: no %s in this line", ErrChunk, prefix)
	}
	if len(form) > maxText {
		return nil, fmt.Errorf("%w: %d characters, at most %d allowed", ErrChunk, len(form), maxText)
	}
	form = strings.ToUpper(form)
	chunk, err := base32Text.DecodeString(form[strings.LastIndexByte(form, ':')+1:])
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrChunk, err)
	}
	h, l, _, err := parseChunk(chunk)
	if err != nil {
		return nil, err
	}
	// Whatever else could be written for this chunk, other numbers in front first of all, is refused.
	if text(h, l, chunk) != form {
		return nil, fmt.Errorf("%w: the line says other things about chunk %d of %d than itself", ErrChunk, h.number, l.chunks())
	}
	return chunk, nil
}

// find returns the text form in a line: from the prefix, in either case, to the next blank.
func find(line string) (string, bool) {
	for i := 0; i+len(prefix) <= len(line); i++ {
		if strings.EqualFold(line[i:i+len(prefix)], prefix) {
			form := line[i:]
			if end := strings.IndexAny(form, " \t\r\n"); end >= 0 {
				form = form[:end]
			}
			return form, true
		}
	}
	return "", false
}

// AddText takes the chunk in a line of text, as Add does.
func (j *Joiner) AddText(line string) (done bool, err error) {
	chunk, err := ParseText(line)
	if err != nil {
		j.counts.Damaged++
		return false, err
	}
	return j.Add(chunk)
}

// AddFile takes what was read from a file: one chunk as it is, or lines of text of which some hold
// chunks. It returns how many chunks there were, whole or not; Counts says what became of them, Bytes
// whether that is enough. The error is ErrChunk if there was none at all.
func (j *Joiner) AddFile(b []byte) (found int, err error) {
	if len(b) > 0 && b[0] == mark {
		_, err := j.Add(b)
		return 1, err
	}
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		if form, ok := find(string(line)); ok {
			found++
			_, _ = j.AddText(form) // counted
		}
	}
	if found == 0 {
		return 0, fmt.Errorf("%w: neither begins with %#02x nor has a line with %s", ErrChunk, mark, prefix)
	}
	return found, nil
}

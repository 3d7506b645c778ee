package bundle

import (
	"errors"
	"fmt"

	epochs "github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/fact"
)

func (c EpochClaim) judge(j *judge) error {
	before, errBefore := j.known(c.Block - 1)
	after, errAfter := j.known(c.Block)
	was, errWas := j.rulesAt(before)
	set, errIs := j.rulesAt(after)
	if err := first(errBefore, errAfter, errWas, errIs); err != nil {
		return err
	}
	if _, err := sameRules(was, set, c.Block); err != nil {
		return err
	}
	v, err := j.verifierOf()
	if err != nil {
		return fail("pulses", err)
	}
	e, err := epochs.Read(before, after, c.Netuid, uint64(c.Block), set, v)
	switch {
	case errors.Is(err, epochs.ErrNoEpoch):
		return fail("epoch", fmt.Errorf("%w: %w", ErrNotSo, err))
	case errors.Is(err, epochs.ErrOtherRules):
		return lack("rules", err)
	case errors.Is(err, epochs.ErrTooBig):
		return lack("epoch", err)
	case err != nil:
		return err
	}
	verdict := e.Verdict()
	j.line.add("netuid", uint64(c.Netuid))
	j.line.add("number", uint64(c.Block))
	j.line.add("uids", uint64(len(e.Hotkeys)))
	j.line.add("emission_rao", verdict.Rao)
	for _, a := range verdict.Arrays {
		name := a.Name
		if a.Mecid > 0 {
			name = fmt.Sprintf("%s of mechanism %d", a.Name, a.Mecid)
		}
		j.line.add(name, a.Finding.String())
		switch {
		case a.Finding == epochs.Differs && len(a.Cells) > 0:
			err = fail("epoch", fmt.Errorf("%w: %s differs in %s, the first is %s", ErrNotSo, name, count(a.Count, "cell"), a.Cells[0]))
		case a.Finding == epochs.Differs:
			err = fail("epoch", fmt.Errorf("%w: %s differs: %s", ErrNotSo, name, a.Why))
		case a.Finding != epochs.Equal && outcomeOf(err) == fact.OK:
			err = lack("epoch", fmt.Errorf("%w: %s: %s", ErrProvesNothing, name, a.Why))
		}
		if outcomeOf(err) == fact.Failed {
			return err
		}
	}
	if err != nil {
		return err
	}
	if verdict.Finding() != epochs.Equal {
		return lack("epoch", fmt.Errorf("%w: the states do not decide it", ErrProvesNothing))
	}
	j.line.Text = fmt.Sprintf("the epoch of %s in block %s is as computed: %s of %s, %s rao handed out", subnet(c.Netuid, 0), number(c.Block),
		count(len(verdict.Arrays), "array"), count(len(e.Hotkeys), "uid"), group(verdict.Rao))
	j.label(set)
	return nil
}

// outcomeOf tells what an error of a step makes of it.
func outcomeOf(err error) fact.Outcome {
	var l Line
	l.conclude(err)
	return l.Outcome
}

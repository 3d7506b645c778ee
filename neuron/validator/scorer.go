package validator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/synapse"
)

// A Scorer knows what to ask the miners of its subnet and what their answers are worth. Who writes a subnet in Go writes
// these two methods.
type Scorer interface {
	// Question returns what is asked in a round, counted from 0: the same of every miner.
	Question(ctx context.Context, round uint64) (*synapse.Values, error)
	// Score returns what each answer is worth, in their order: a finite number from 0 on, mostly up to 1. Answers are
	// what miners wrote, and may be anything that the synapse's types allow.
	Score(ctx context.Context, round uint64, question *synapse.Values, answers []Answer) ([]float64, error)
}

// An Answer is what came of asking one miner.
type Answer struct {
	UID     uint16          `json:"uid"`
	Hotkey  string          `json:"hotkey"`
	OK      bool            `json:"ok"`
	Status  int             `json:"status"` // as the SDK's dendrite has it: 200, 408, 503 …
	Seconds float64         `json:"seconds"`
	Output  json.RawMessage `json:"output,omitempty"` // the synapse's fields, if OK
	Error   string          `json:"error,omitempty"`
}

// Dummy is the scorer of the subnet template: a number is to be doubled (template/validator/reward.py).
type Dummy struct{}

// Question implements Scorer.
func (Dummy) Question(_ context.Context, round uint64) (*synapse.Values, error) {
	return synapse.Dummy().Read([]byte(`{"dummy_input":` + strconv.FormatUint(round%(1<<31), 10) + `}`))
}

// Score implements Scorer.
func (Dummy) Score(_ context.Context, round uint64, _ *synapse.Values, answers []Answer) ([]float64, error) {
	want := strconv.FormatUint(2*(round%(1<<31)), 10)
	scores := make([]float64, len(answers))
	for i, a := range answers {
		var out struct {
			Output json.Number `json:"dummy_output"`
		}
		if a.OK && json.Unmarshal(a.Output, &out) == nil && out.Output.String() == want {
			scores[i] = 1
		}
	}
	return scores, nil
}

// Command asks a command, which a handler runs (neuron/handler.Exec): once with the name "question" and {"round": N} for
// an object with the fields of the synapse, and once with the name "score" and {"round", "question", "answers"} for
// {"scores": […]}, a number for each answer in their order.
type Command struct {
	Handler neuron.Handler
	Spec    *synapse.Spec
}

// Question implements Scorer.
func (c *Command) Question(ctx context.Context, round uint64) (*synapse.Values, error) {
	out, err := c.ask(ctx, "question", map[string]any{"round": round})
	if err != nil {
		return nil, err
	}
	v, err := c.Spec.Read(out)
	if err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	return v, nil
}

// Score implements Scorer.
func (c *Command) Score(ctx context.Context, round uint64, question *synapse.Values, answers []Answer) ([]float64, error) {
	out, err := c.ask(ctx, "score", map[string]any{"round": round, "question": json.RawMessage(question.Object()), "answers": answers})
	if err != nil {
		return nil, err
	}
	return ParseScores(out, len(answers))
}

func (c *Command) ask(ctx context.Context, name string, input any) ([]byte, error) {
	b, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	r, err := c.Handler.Handle(ctx, &neuron.Request{Name: name, Input: b})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.Stream != nil {
		return nil, fmt.Errorf("%s: %w", name, errors.New("a stream is no answer"))
	}
	return r.Body, nil
}

// ParseScores reads what a command says of n answers.
func ParseScores(b []byte, n int) ([]float64, error) {
	var out struct {
		Scores []*float64 `json:"scores"`
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("scores: %w", err)
	}
	if len(out.Scores) != n {
		return nil, fmt.Errorf("%w: %d scores for %d answers", ErrScore, len(out.Scores), n)
	}
	scores := make([]float64, n)
	for i, s := range out.Scores {
		if s != nil { // null is nothing
			scores[i] = *s
		}
	}
	return scores, checkScores(scores)
}

func checkScores(scores []float64) error {
	for i, s := range scores {
		if math.IsNaN(s) || math.IsInf(s, 0) || s < 0 || s > maxScore {
			return fmt.Errorf("answer %d: %w: %v", i, ErrScore, s)
		}
	}
	return nil
}

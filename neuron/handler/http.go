package handler

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/taolight/taolight/neuron"
)

// Dummy answers the template's synapse: the double of a number.
func Dummy() neuron.Handler {
	return neuron.HandlerFunc(func(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
		var v struct {
			N int64 `json:"dummy_input"`
		}
		if err := json.Unmarshal(r.Input, &v); err != nil || v.N > 1<<62-1 || v.N < -1<<62 {
			return nil, neuron.Errorf(http.StatusBadRequest, "dummy_input is out of range")
		}
		return &neuron.Reply{Body: fmt.Appendf(nil, `{"dummy_output":%d}`, 2*v.N)}, nil
	})
}

// errAnswer: what answered is not what was agreed.
var errAnswer = errors.New("bad answer of the local server")

// maxAnswer is the default bound of an answer, in bytes.
const maxAnswer = 8 << 20

// HTTPConfig says where a request goes.
type HTTPConfig struct {
	URL      string // "http://127.0.0.1:8080/answer"; of an OpenAI-compatible server its base, "http://127.0.0.1:8080/v1"
	OpenAI   *OpenAI
	MaxReply int64 // bytes; 8 MiB
}

// OpenAI turns a request into a chat completion, as llama.cpp, ollama, vLLM and others answer them.
type OpenAI struct {
	Model    string // empty: the server's only one
	Messages string // field of the input with a list of {role, content}; "messages"
	Prompt   string // field with the text of one message by the user, if there are no messages; "prompt"
	Output   string // field for the answer; "completion"
	System   string // put before: what the model is told first
	MaxToken int    // of an answer; 0: the server's limit
	Stream   bool   // answer in pieces of plain text
}

// HTTP asks a local server.
type HTTP struct {
	cfg       HTTPConfig
	url       string
	transport *http.Transport
}

// NewHTTP returns a handler; it dials nobody yet.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("handler: URL %q: want http://ADDRESS:PORT/PATH", cfg.URL)
	}
	cfg.MaxReply = cmp.Or(cfg.MaxReply, maxAnswer)
	h := &HTTP{cfg: cfg, url: cfg.URL, transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true}}
	if cfg.OpenAI != nil {
		o := *cfg.OpenAI
		o.Messages, o.Prompt, o.Output = cmp.Or(o.Messages, "messages"), cmp.Or(o.Prompt, "prompt"), cmp.Or(o.Output, "completion")
		h.cfg.OpenAI = &o
		h.url = strings.TrimRight(cfg.URL, "/") + "/chat/completions"
	}
	return h, nil
}

// Close closes the connections that are kept.
func (h *HTTP) Close() error { h.transport.CloseIdleConnections(); return nil }

// Handle sends the input on and gives back what comes.
func (h *HTTP) Handle(ctx context.Context, r *neuron.Request) (*neuron.Reply, error) {
	body := r.Input
	if h.cfg.OpenAI != nil {
		var err error
		if body, err = h.cfg.OpenAI.request(r.Input); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Taolight-Caller", r.Caller.Hotkey.String())
	req.Header.Set("X-Taolight-Name", r.Name)
	resp, err := h.transport.RoundTrip(req) // which follows no redirect
	if err != nil {
		return nil, h.unavailable(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		resp.Body.Close()
		return nil, fmt.Errorf("%w: status %d: %q", errAnswer, resp.StatusCode, text)
	}
	if h.cfg.OpenAI != nil && h.cfg.OpenAI.Stream {
		return &neuron.Reply{ContentType: "text/event-stream", Stream: func(w io.Writer) error {
			defer resp.Body.Close()
			return deltas(w, io.LimitReader(resp.Body, h.cfg.MaxReply))
		}}, nil
	}
	kind := resp.Header.Get("Content-Type")
	if h.cfg.OpenAI == nil && strings.HasPrefix(kind, "text/event-stream") {
		return &neuron.Reply{ContentType: kind, Stream: func(w io.Writer) error {
			defer resp.Body.Close()
			n, err := io.Copy(w, io.LimitReader(resp.Body, h.cfg.MaxReply+1))
			if err == nil && n > h.cfg.MaxReply {
				err = fmt.Errorf("%w: more than %d bytes", errAnswer, h.cfg.MaxReply)
			}
			return err
		}}, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, h.cfg.MaxReply+1))
	if err != nil {
		return nil, h.unavailable(ctx, err)
	}
	if int64(len(b)) > h.cfg.MaxReply {
		return nil, fmt.Errorf("%w: more than %d bytes", errAnswer, h.cfg.MaxReply)
	}
	if h.cfg.OpenAI != nil {
		if b, err = h.cfg.OpenAI.reply(b); err != nil {
			return nil, err
		}
		kind = "application/json"
	}
	return &neuron.Reply{Body: b, ContentType: kind}, nil
}

// unavailable is an error of the connection: the caller is told that it may come again.
func (h *HTTP) unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(neuron.Errorf(http.StatusServiceUnavailable, "the model cannot be reached"), err)
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// request makes the body of a chat completion.
func (o *OpenAI) request(input []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(input, &fields); err != nil {
		return nil, neuron.Errorf(http.StatusBadRequest, "want a JSON object")
	}
	var messages []chatMessage
	if o.System != "" {
		messages = append(messages, chatMessage{"system", o.System})
	}
	var prompt string
	var list []chatMessage
	switch {
	case json.Unmarshal(fields[o.Messages], &list) == nil && len(list) > 0:
		for _, m := range list {
			if m.Role != "user" && m.Role != "assistant" && m.Role != "system" {
				return nil, neuron.Errorf(http.StatusBadRequest, "%s: role %.20q", o.Messages, m.Role)
			}
			messages = append(messages, m)
		}
	case json.Unmarshal(fields[o.Prompt], &prompt) == nil && prompt != "":
		messages = append(messages, chatMessage{"user", prompt})
	default:
		return nil, neuron.Errorf(http.StatusBadRequest, "neither %s nor %s", o.Messages, o.Prompt)
	}
	return json.Marshal(struct {
		Model    string        `json:"model,omitempty"`
		Messages []chatMessage `json:"messages"`
		Stream   bool          `json:"stream"`
		MaxToken int           `json:"max_tokens,omitempty"`
	}{o.Model, messages, o.Stream, o.MaxToken})
}

// A completion is what is read of an answer, whole or a piece.
type completion struct {
	Choices []struct {
		Message, Delta struct {
			Content *string `json:"content"`
		}
	} `json:"choices"`
}

func (o *OpenAI) reply(b []byte) ([]byte, error) {
	var c completion
	if err := json.Unmarshal(b, &c); err != nil || len(c.Choices) == 0 || c.Choices[0].Message.Content == nil {
		return nil, fmt.Errorf("%w: no chat completion", errAnswer)
	}
	return json.Marshal(map[string]string{o.Output: *c.Choices[0].Message.Content})
}

// deltas writes the text of the pieces of a completion, which come as server-sent events.
func deltas(w io.Writer, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		if data = bytes.TrimSpace(data); string(data) == "[DONE]" {
			return nil
		}
		var c completion
		if err := json.Unmarshal(data, &c); err != nil {
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
		if len(c.Choices) == 0 || c.Choices[0].Delta.Content == nil || *c.Choices[0].Delta.Content == "" {
			continue
		}
		if _, err := io.WriteString(w, *c.Choices[0].Delta.Content); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	return fmt.Errorf("%w: it broke off", errAnswer)
}

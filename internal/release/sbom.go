package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// The parts of CycloneDX 1.5 that say what is known: https://cyclonedx.org/docs/1.5/json/.
type (
	bom struct {
		Format       string      `json:"bomFormat"`
		SpecVersion  string      `json:"specVersion"`
		Version      int         `json:"version"`
		Metadata     metadata    `json:"metadata"`
		Components   []component `json:"components"`
		Dependencies []edge      `json:"dependencies"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type     string    `json:"type"`
		Ref      string    `json:"bom-ref"`
		Name     string    `json:"name"`
		Version  string    `json:"version"`
		Hashes   []hash    `json:"hashes,omitempty"`
		Licenses []licence `json:"licenses"`
		PURL     string    `json:"purl,omitempty"`
		// go.sum's sum is of a list of files' hashes, which is none of the algorithms of "hashes".
		Properties []property `json:"properties,omitempty"`
	}
	hash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	licence struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	edge struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	}
)

func licencesOf(ids ...string) []licence {
	out := make([]licence, len(ids))
	for i, id := range ids {
		out[i].License.ID = id
	}
	return out
}

// bill lists what is linked into a program.
func (r *release) bill(platform, program string, parts []part) ([]byte, error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	self := component{
		Type: "application", Name: "taolight", Version: r.version, Ref: "taolight/" + platform,
		Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}}, Licenses: licencesOf("Apache-2.0"),
		Properties: []property{{"taolight:platform", platform}},
	}
	out := bom{
		Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Metadata: metadata{Timestamp: r.time.Format(time.RFC3339), Component: self},
	}
	var refs []string
	for _, p := range parts {
		purl := "pkg:golang/" + strings.ToLower(p.path) + "@" + strings.ReplaceAll(p.version, "+", "%2B")
		c := component{
			Type: "library", Name: p.path, Version: p.version, Ref: purl, PURL: purl, Licenses: licencesOf(p.licences...),
		}
		if p.sum != "" {
			if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.sum, "h1:")); err != nil || len(raw) != sha256.Size {
				return nil, fmt.Errorf("%s: go.sum has %q", p.path, p.sum)
			}
			c.Properties = []property{{"go:sum", p.sum}}
		}
		out.Components = append(out.Components, c)
		refs = append(refs, purl)
	}
	out.Dependencies = []edge{{self.Ref, refs}}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

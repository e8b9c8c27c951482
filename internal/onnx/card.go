package onnx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/edgecam/edgecam/internal/graph"
)

// CardKey is the metadata entry that holds a model's card.
const CardKey = "edgecam.card"

// cardSchema and cardMajor say which cards are understood: edgecam.card/1 and
// its minor versions, as edgecam.card/1.2.
const (
	cardSchema = "edgecam.card/"
	cardMajor  = "1"
)

// Card is the model card: what a model is for, how it is fed and read, and
// where it comes from. It is one JSON document in the model's metadata.
// Fields that this version does not know are kept when a card is written.
type Card struct {
	Schema     string      `json:"schema"`               // edgecam.card/1; Write fills it in
	Task       string      `json:"task,omitempty"`       // detect, classify, segment
	Labels     []string    `json:"labels,omitempty"`     // of the classes, by index
	Preprocess *Preprocess `json:"preprocess,omitempty"` // nil where it is not known
	Decoder    string      `json:"decoder,omitempty"`    // a preset's name; "" where it is not known
	Lineage    []Origin    `json:"lineage,omitempty"`    // oldest first

	Extra map[string]json.RawMessage `json:"-"` // unknown fields
}

// Preprocess says how a picture becomes the model's input: placed in Size,
// then (value - Mean) / Std for each channel, values from 0 to 255.
type Preprocess struct {
	Preset string    `json:"preset,omitempty"` // of which the other fields are the detail
	Size   []int     `json:"size,omitempty"`   // width, height
	Mean   []float64 `json:"mean,omitempty"`   // a value for each channel, in the order of Color
	Std    []float64 `json:"std,omitempty"`
	Color  string    `json:"color,omitempty"`  // rgb, bgr, gray
	Layout string    `json:"layout,omitempty"` // nchw, nhwc
	Place  string    `json:"place,omitempty"`  // stretch, letterbox-topleft, letterbox-centre, crop
	Pad    float64   `json:"pad,omitempty"`    // around a letterboxed picture, 0 to 255

	Extra map[string]json.RawMessage `json:"-"` // unknown fields
}

// Origin is one step of a model's history.
type Origin struct {
	Step   string `json:"step"`             // import, quantize, finetune, ...
	Source string `json:"source,omitempty"` // file, data set or configuration
	SHA256 string `json:"sha256,omitempty"` // of the source
	Time   string `json:"time,omitempty"`   // RFC 3339

	Extra map[string]json.RawMessage `json:"-"` // unknown fields
}

// ReadCard returns the card of a model, nil where it has none. Without a card
// of edgecam's, the metadata that Ultralytics exports carry serve as one. An
// unknown major version, or contents that cannot be meant, are errors that
// wrap ErrFormat.
func ReadCard(g *graph.Graph) (*Card, error) {
	i := slices.IndexFunc(g.Metadata, func(p graph.Property) bool { return p.Key == CardKey })
	if i < 0 {
		return ultralyticsCard(g), nil
	}
	c, err := parseCard(g.Metadata[i].Value)
	if err != nil {
		return nil, fmt.Errorf("model card (metadata %s): %w: %w", CardKey, err, ErrFormat)
	}
	return c, nil
}

func parseCard(s string) (*Card, error) {
	// The version comes first: another one may mean other things by a field.
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal([]byte(s), &head); err != nil {
		return nil, err
	}
	version, ok := strings.CutPrefix(head.Schema, cardSchema)
	major, _, _ := strings.Cut(version, ".")
	if !ok || major != cardMajor {
		return nil, fmt.Errorf("schema %q, want %s%s: a newer edgecam may read it", head.Schema, cardSchema, cardMajor)
	}
	c := &Card{}
	if err := json.Unmarshal([]byte(s), c); err != nil {
		return nil, err
	}
	return c, c.check()
}

// Write stores the card in the model's metadata, in place of an earlier one.
func (c *Card) Write(g *graph.Graph) error {
	full := *c
	if full.Schema == "" {
		full.Schema = cardSchema + cardMajor
	}
	if err := full.check(); err != nil {
		return fmt.Errorf("model card: %w", err)
	}
	b, err := json.Marshal(&full)
	if err != nil {
		return fmt.Errorf("model card: %w", err)
	}
	p := graph.Property{Key: CardKey, Value: string(b)}
	g.Metadata = slices.Clone(g.Metadata)
	if i := slices.IndexFunc(g.Metadata, func(p graph.Property) bool { return p.Key == CardKey }); i >= 0 {
		g.Metadata[i] = p
		return nil
	}
	g.Metadata = append(g.Metadata, p)
	return nil
}

// check reports contents that cannot be meant.
func (c *Card) check() error {
	p := c.Preprocess
	if p == nil {
		return nil
	}
	const maxSide = 1 << 16
	bad := func(n int) bool { return n < 1 || n > maxSide }
	switch {
	case len(p.Size) != 0 && (len(p.Size) != 2 || slices.ContainsFunc(p.Size, bad)):
		return fmt.Errorf("preprocess.size is %v, want width and height", p.Size)
	case slices.Contains(p.Std, 0):
		return errors.New("preprocess.std has a zero")
	case len(p.Mean) != 0 && len(p.Std) != 0 && len(p.Mean) != len(p.Std):
		return fmt.Errorf("preprocess.mean has %d values, std %d", len(p.Mean), len(p.Std))
	case p.Pad < 0 || p.Pad > 255:
		return fmt.Errorf("preprocess.pad is %v, want 0 to 255", p.Pad)
	}
	words := []struct {
		field, value string
		known        []string
	}{
		{"color", p.Color, []string{"rgb", "bgr", "gray"}},
		{"layout", p.Layout, []string{"nchw", "nhwc"}},
		{"place", p.Place, []string{"stretch", "letterbox-topleft", "letterbox-centre", "crop"}},
	}
	for _, w := range words {
		if w.value != "" && !slices.Contains(w.known, w.value) {
			return fmt.Errorf("preprocess.%s is %q, want one of %s", w.field, w.value, strings.Join(w.known, ", "))
		}
	}
	return nil
}

// The types without methods are what encoding/json handles by itself.
type (
	plainCard       Card
	plainPreprocess Preprocess
	plainOrigin     Origin
)

// UnmarshalJSON keeps unknown fields in Extra.
func (c *Card) UnmarshalJSON(b []byte) (err error) {
	c.Extra, err = unmarshal(b, (*plainCard)(c))
	return err
}

// MarshalJSON writes the fields of Extra behind the others.
func (c *Card) MarshalJSON() ([]byte, error) { return marshal((*plainCard)(c), c.Extra) }

// UnmarshalJSON keeps unknown fields in Extra.
func (p *Preprocess) UnmarshalJSON(b []byte) (err error) {
	p.Extra, err = unmarshal(b, (*plainPreprocess)(p))
	return err
}

// MarshalJSON writes the fields of Extra behind the others.
func (p *Preprocess) MarshalJSON() ([]byte, error) { return marshal((*plainPreprocess)(p), p.Extra) }

// UnmarshalJSON keeps unknown fields in Extra.
func (o *Origin) UnmarshalJSON(b []byte) (err error) {
	o.Extra, err = unmarshal(b, (*plainOrigin)(o))
	return err
}

// MarshalJSON writes the fields of Extra behind the others.
func (o Origin) MarshalJSON() ([]byte, error) { return marshal((*plainOrigin)(&o), o.Extra) }

// unmarshal decodes a JSON object into the struct that v points to and
// returns the fields that the struct does not have.
func unmarshal(b []byte, v any) (map[string]json.RawMessage, error) {
	if err := json.Unmarshal(b, v); err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	t := reflect.TypeOf(v).Elem()
	for key := range all {
		for i := range t.NumField() {
			// encoding/json matches names without regard to case.
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "-" && strings.EqualFold(name, key) {
				delete(all, key)
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// marshal encodes the struct that v points to, followed by extra fields.
func marshal(v any, extra map[string]json.RawMessage) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil || len(extra) == 0 {
		return b, err
	}
	more, err := json.Marshal(extra)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(b, []byte("{}")) {
		return more, nil
	}
	return slices.Concat(b[:len(b)-1], []byte{','}, more[1:]), nil
}

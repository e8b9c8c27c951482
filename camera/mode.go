package camera

import (
	"fmt"
	"slices"
	"strings"
)

// Mode is a picture format, size and set of rates that a device offers.
type Mode struct {
	Format        string    // YUYV, NV12, MJPEG or GRAY8
	Width, Height int       // the largest, where Step is not 0
	Step          [2]int    // width and height come in steps from Min; 0 where there is one size
	Min           [2]int    // the smallest width and height, where Step is not 0
	Rates         []float64 // frames a second, falling; empty where the device does not tell
}

// has reports whether the mode offers a size.
func (m Mode) has(w, h int) bool {
	if m.Step[0] == 0 || m.Step[1] == 0 {
		return m.Width == w && m.Height == h
	}
	return w >= m.Min[0] && w <= m.Width && (w-m.Min[0])%m.Step[0] == 0 && h >= m.Min[1] && h <= m.Height && (h-m.Min[1])%m.Step[1] == 0
}

// nearest returns the size of the mode that is nearest to w x h in number of
// pixels; for sizes in steps, in width and height.
func (m Mode) nearest(w, h int) (int, int) {
	if m.Step[0] == 0 || m.Step[1] == 0 {
		return m.Width, m.Height
	}
	fit := func(v, low, high, step int) int {
		v = min(max(v, low), high)
		return v - (v-low)%step
	}
	return fit(w, m.Min[0], m.Width, m.Step[0]), fit(h, m.Min[1], m.Height, m.Step[1])
}

// choice is what a device is set to.
type choice struct {
	format        string
	width, height int
	rate          float64 // 0 where the device does not tell
}

// preferred lists formats, the best first. Compressed pictures cost more time
// than most nets do, gray ones lack colour.
var preferred = []string{"YUYV", "NV12", "MJPEG", "GRAY8"}

// choose picks the mode that t asks for. What t leaves open becomes 640x480 or
// the size nearest to it, up to 30 frames a second, and of the formats the
// first preferred one that reaches the rate, or else the fastest.
func choose(t target, modes []Mode) (choice, error) {
	var fit []Mode
	for _, m := range modes {
		if t.format == "" || t.format == m.Format {
			fit = append(fit, m)
		}
	}
	switch {
	case len(modes) == 0:
		return choice{}, fmt.Errorf("camera: %s: %w: it gives none of the formats %s; if it is a CSI camera, open csi:0", t.name, ErrUnsupported, strings.Join(preferred, ", "))
	case len(fit) == 0:
		return choice{}, fmt.Errorf("camera: %s: %w: it has no format=%s; it gives %s", t.name, ErrUnsupported, t.format, describe(modes, func(m Mode) string { return m.Format }))
	}
	w, h := t.width, t.height
	if w == 0 {
		w, h = defaultSize(fit)
	}
	sized := slices.DeleteFunc(slices.Clone(fit), func(m Mode) bool { return !m.has(w, h) })
	if len(sized) == 0 {
		return choice{}, fmt.Errorf("camera: %s: %w: it has no size=%dx%d; it gives %s", t.name, ErrUnsupported, w, h, describe(fit, Mode.size))
	}
	return fastest(sized, w, h, t.rate), nil
}

// defaultSize returns 640x480, or the size nearest to it that is offered.
func defaultSize(modes []Mode) (w, h int) {
	const pixels = 640 * 480
	best := -1
	for _, m := range modes {
		mw, mh := m.nearest(640, 480)
		off := mw*mh - pixels
		if mw == 640 && mh == 480 {
			off = 0
		} else {
			off = max(off, -off) + 1
		}
		if best < 0 || off < best {
			best, w, h = off, mw, mh
		}
	}
	return w, h
}

// fastest picks one of modes, which all have the size. rate is 0 if any will do.
func fastest(modes []Mode, w, h int, rate float64) choice {
	slices.SortStableFunc(modes, func(a, b Mode) int { return slices.Index(preferred, a.Format) - slices.Index(preferred, b.Format) })
	if rate == 0 {
		rate = 30
	}
	var best choice
	for _, m := range modes {
		c := choice{m.Format, w, h, pickRate(m.Rates, rate)}
		switch {
		case m.Format == "GRAY8" && best.format != "": // no better for being fast
		case len(m.Rates) == 0 || reaches(c.rate, rate):
			return c
		case c.rate > best.rate:
			best = c
		}
	}
	return best
}

// reaches lets 29.97 pass for 30.
func reaches(rate, want float64) bool { return rate >= 0.98*want }

// pickRate returns the lowest rate that reaches want, or the highest.
func pickRate(rates []float64, want float64) float64 {
	best := 0.0
	for _, r := range rates {
		enough, had := reaches(r, want), reaches(best, want)
		if best == 0 || enough && (!had || r < best) || !enough && !had && r > best {
			best = r
		}
	}
	return best
}

// size says the size for messages.
func (m Mode) size() string {
	if m.Step[0] == 0 || m.Step[1] == 0 {
		return fmt.Sprintf("%dx%d", m.Width, m.Height)
	}
	return fmt.Sprintf("%dx%d to %dx%d in steps of %dx%d", m.Min[0], m.Min[1], m.Width, m.Height, m.Step[0], m.Step[1])
}

// describe lists what modes differ in.
func describe(modes []Mode, what func(Mode) string) string {
	var list []string
	for _, m := range modes {
		if s := what(m); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return strings.Join(list, ", ")
}

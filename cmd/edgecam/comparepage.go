package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"path/filepath"
	"slices"

	"github.com/edgecam/edgecam/camera"
	"github.com/edgecam/edgecam/sdk"
)

// The bounds of a page: pictures, and their width in pixels.
const (
	pagePictures = 100
	pageWidth    = 640
)

// comparePage collects the pictures of which two models tell the most different
// things. A nil page collects nothing.
type comparePage struct {
	path    string
	models  [2]string
	entries []pageEntry // the most changed first
	left    int         // out, of those that changed
	picture *image.RGBA
}

// pageEntry is one picture of a page.
type pageEntry struct {
	Place string
	Agree float64
	Sides [2]pageSide
}

// pageSide is what one model tells.
type pageSide struct {
	Picture template.URL // as data:
	Words   string
}

// newComparePage returns the page that goes to a file, nil where path is "".
func newComparePage(path string, models [2]string) *comparePage {
	if path == "" {
		return nil
	}
	return &comparePage{path: path, models: models}
}

// add puts a picture on the page, unless there are enough that changed more.
func (p *comparePage) add(readers [2]*sdk.Reader, f *camera.Frame, x [2]*sdk.Reading, ch *changed) error {
	if p == nil {
		return nil
	}
	at, _ := slices.BinarySearchFunc(p.entries, ch.Agree, func(e pageEntry, agree float64) int { return cmp.Compare(e.Agree, agree) })
	for at < len(p.entries) && p.entries[at].Agree == ch.Agree {
		at++ // behind those that came earlier
	}
	if at == pagePictures {
		p.left++
		return nil
	}
	e := pageEntry{Place: ch.place(), Agree: ch.Agree}
	for i, r := range readers {
		p.picture = f.ToRGBA(p.picture)
		r.Draw(p.picture, x[i])
		url, err := dataURL(p.picture)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Source, err)
		}
		e.Sides[i] = pageSide{url, ch.words[i]}
	}
	p.entries = slices.Insert(p.entries, at, e)
	if len(p.entries) > pagePictures {
		p.entries = p.entries[:pagePictures]
		p.left++
	}
	return nil
}

// dataURL returns a picture, made smaller where it is wider than a page shows,
// as an address that holds it.
func dataURL(img *image.RGBA) (template.URL, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, reduce(img, (img.Rect.Dx()+pageWidth-1)/pageWidth), &jpeg.Options{Quality: 80}); err != nil {
		return "", err
	}
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil //nolint:gosec // it holds nothing but letters of base64
}

// reduce makes a pixel of the mean of each by x by pixels.
func reduce(img *image.RGBA, by int) *image.RGBA {
	if by <= 1 {
		return img
	}
	w, h := max(1, img.Rect.Dx()/by), max(1, img.Rect.Dy()/by)
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			var sum [3]int
			n := 0
			for sy := y * by; sy < min((y+1)*by, img.Rect.Dy()); sy++ {
				row := img.Pix[sy*img.Stride+4*x*by:]
				for sx := 0; sx < min(by, img.Rect.Dx()-x*by); sx++ {
					for c := range sum {
						sum[c] += int(row[4*sx+c])
					}
					n++
				}
			}
			px := out.Pix[y*out.Stride+4*x:][:4]
			for c := range sum {
				px[c] = uint8(sum[c] / n)
			}
			px[3] = 255
		}
	}
	return out
}

// write writes the page.
func (p *comparePage) write(r *comparison) error {
	var b bytes.Buffer
	err := comparePageTemplate.Execute(&b, map[string]any{
		"Models": p.models, "Names": [2]string{filepath.Base(p.models[0]), filepath.Base(p.models[1])}, "R": r, "Entries": p.entries, "Left": p.left, "Style": template.CSS(pageStyle)})
	if err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return writeFile(p.path, b.Bytes())
}

// pageFuncs are the functions of the templates of pages.
var pageFuncs = template.FuncMap{
	"percent": func(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) },
	"ms":      func(x float64) string { return fmt.Sprintf("%.2f ms", x) },
}

// pageStyle is the look of all pages.
const pageStyle = `
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #1c2430; background: #fff; }
h1 { font-size: 1.5em; margin: 0 0 .3em; } h2 { font-size: 1.15em; margin: 2em 0 .5em; }
.big { display: flex; flex-wrap: wrap; gap: 1em; margin: 1.2em 0; }
.big div { border: 1px solid #d5dbe3; border-radius: 8px; padding: .6em 1em; min-width: 8em; }
.big b { display: block; font-size: 1.5em; } .big small, .quiet { color: #5b6675; }
.bad { color: #a3231b; } .good { color: #1b7a3d; }
.note { border-left: 4px solid #c9820a; background: #fdf6e7; padding: .5em .9em; margin: .6em 0; }
.note.bad { border-color: #a3231b; background: #fdeeed; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; } th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #e6eaf0; }
th { position: sticky; top: 0; background: #fff; } td:first-child, th:first-child, .left { text-align: left; } td:first-child { max-width: 26em; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1em; margin: 1.2em 0 2em; } .pair h3 { grid-column: 1 / -1; margin: 0; font-size: 1em; overflow-wrap: anywhere; }
figure { margin: 0; } figure img { max-width: 100%; border-radius: 4px; display: block; } figcaption { margin-top: .3em; }
svg text { font: 11px system-ui, sans-serif; fill: #1c2430; } .scroll { overflow-x: auto; }
`

var comparePageTemplate = template.Must(template.New("compare").Funcs(pageFuncs).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{index .Names 0}} and {{index .Names 1}}: what changed</title><style>{{.Style}}</style></head>
<body>
<h1>{{index .Names 0}} and {{index .Names 1}}</h1>
<p class="quiet">Agreement of two models on the same images, without labels: it says nothing of which is right.</p>
<div class="big">
<div><b>{{percent .R.Agree}}</b><small>agreement ({{.R.Task}})</small></div>
<div><b>{{percent (index .R.Interval 0)}} – {{percent (index .R.Interval 1)}}</b><small>95 % interval</small></div>
<div><b>{{len .R.Changed}} of {{.R.Images}}</b><small>images changed</small></div>
<div><b>{{ms (index .R.Millis 0)}} / {{ms (index .R.Millis 1)}}</b><small>a / b, an image, on this machine</small></div>
</div>
<p>a: {{index .Models 0}}<br>b: {{index .Models 1}}</p>
{{with .R.Broken}}<p class="note">{{len .}} images could not be read and are left out: {{range $i, $e := .}}{{if $i}}, {{end}}{{$e}}{{end}}</p>{{end}}
{{if .Left}}<p class="note">The images that changed most are shown; {{.Left}} more changed.</p>{{end}}
{{if not .Entries}}<p class="good">No image changed.</p>{{end}}
{{range .Entries}}<section class="pair"><h3>{{.Place}}: {{percent .Agree}}</h3>
{{range $i, $s := .Sides}}<figure><img src="{{$s.Picture}}" alt=""><figcaption><b>{{if $i}}b{{else}}a{{end}}</b> {{$s.Words}}</figcaption></figure>
{{end}}</section>
{{end}}</body></html>
`))

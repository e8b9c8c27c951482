package camera

import (
	"io"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shut closes c.
func shut(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// open opens uri, and closes it after the test.
func open(t *testing.T, uri string) Source {
	t.Helper()
	return opened(t)(Open(uri))
}

// opened takes what a function that opens a source returns.
func opened(t *testing.T) func(Source, error) Source {
	return func(src Source, err error) Source {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		})
		return src
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edgecam/edgecam/kernels"
	"github.com/edgecam/edgecam/sdk"
)

func TestSelftest(t *testing.T) {
	for _, set := range kernels.Available() {
		t.Setenv(kernels.EnvRung, set.Name)
		var stdout, stderr strings.Builder
		if code := run(context.Background(), []string{"selftest"}, nil, &stdout, &stderr); code != exitDone || stderr.Len() > 0 {
			t.Fatalf("exit code %d: %s%s", code, stdout.String(), stderr.String())
		}
		lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
		for _, l := range lines {
			if !strings.HasPrefix(l, "PASS") || !strings.Contains(l, " "+set.Name+" ") {
				t.Errorf("line %q tells no PASS with the rung %s", l, set.Name)
			}
		}
		if len(lines) < 9 {
			t.Errorf("%d lines", len(lines))
		}
	}
	t.Setenv(kernels.EnvRung, "steam")
	var stdout, stderr strings.Builder
	if code := run(context.Background(), []string{"selftest"}, nil, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "steam") || stdout.Len() > 0 {
		t.Errorf("exit code %d of a rung that there is not: %s", code, stderr.String())
	}
}

func TestSelftestFails(t *testing.T) {
	rs := []sdk.SelfTestResult{
		{Net: "a", Pass: true, Kernels: "neon", Time: 1500 * time.Microsecond, MACs: 7, Sum: strings.Repeat("1", 64), Want: strings.Repeat("1", 64)},
		{Net: "b", Kernels: "neon", Time: time.Millisecond, Sum: strings.Repeat("2", 64), Want: strings.Repeat("3", 64)},
	}
	var stdout strings.Builder
	o := output{stdout: &stdout}
	err := printSelftest(o, rs, true, false)
	if !errors.Is(err, errReported) || exitCode(err) != exitFailed {
		t.Errorf("error %v with exit code %d", err, exitCode(err))
	}
	text := stdout.String()
	for _, want := range []string{"PASS  a ", "FAIL  b ", "neon", "1.500 ms", "FAIL  1 of 2 nets"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	stdout.Reset()
	if err := printSelftest(o, rs, true, true); !errors.Is(err, errReported) {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	var net selftestLine
	var end selftestEnd
	for i, v := range []any{&net, &end} {
		if err := json.Unmarshal([]byte(lines[i+1]), v); err != nil {
			t.Fatal(err)
		}
	}
	if want := (selftestLine{"edgecam.selftest/1", "b", false, "neon", 1, 0, rs[1].Sum, rs[1].Want}); net != want {
		t.Errorf("line %+v, want %+v", net, want)
	}
	if want := (selftestEnd{"edgecam.selftest/1", false, "neon", 2, 1}); end != want {
		t.Errorf("last line %+v, want %+v", end, want)
	}
	stdout.Reset()
	if err := printSelftest(o, rs[:1], false, false); err != nil || strings.Count(stdout.String(), "\n") != 1 {
		t.Errorf("an interrupted test prints %q, %v", stdout.String(), err)
	}
}

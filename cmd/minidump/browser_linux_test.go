package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"minidump/internal/victims"
)

// browser is a page in a headless Chromium, controlled through a pipe by the DevTools protocol: JSON messages that end with a NUL.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	id      int
	session string
	events  []browserMessage
}

type browserMessage struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
}

// openBrowser starts the browser with an empty page. It resolves no host names.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	cmd := exec.Command(victims.Tool(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir())
	theirs, to, err1 := os.Pipe()
	from, out, err2 := os.Pipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	cmd.ExtraFiles = []*os.File{theirs, out} // descriptors 3 and 4
	var log strings.Builder
	cmd.Stderr = &log
	cmd.WaitDelay = 5 * time.Second // its child processes inherit the pipe too
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	out.Close()
	b := &browser{t: t, to: to, from: bufio.NewReader(from)}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		to.Close() // the browser ends with the pipe
		cmd.Wait()
		timer.Stop()
		from.Close()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// call calls a method of the protocol and waits for its result. It keeps the events that arrive meanwhile.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.id++
	message := map[string]any{"id": b.id, "method": method, "params": params}
	if params == nil {
		delete(message, "params")
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	out, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(out, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		m, ok := b.next()
		if !ok {
			b.t.Fatalf("%s: the browser has ended", method)
		}
		if m.ID != b.id {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

func (b *browser) next() (m browserMessage, ok bool) {
	line, err := b.from.ReadBytes(0)
	if err != nil || json.Unmarshal(line[:len(line)-1], &m) != nil {
		return m, false
	}
	if m.ID == 0 {
		b.events = append(b.events, m)
	}
	return m, true
}

// open loads a file and waits until it is loaded.
func (b *browser) open(path string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": (&url.URL{Scheme: "file", Path: path}).String()}, nil)
	for seen := 0; ; {
		for ; seen < len(b.events); seen++ {
			if b.events[seen].Method == "Page.loadEventFired" {
				return
			}
		}
		if _, ok := b.next(); !ok {
			b.t.Fatal("the browser has ended")
		}
	}
}

// evaluate evaluates an expression of JavaScript.
func (b *browser) evaluate(expression string, result any) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Text string }
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails.Text)
	}
	if err := json.Unmarshal(r.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// show sets the width of the page and its colours, and saves a picture of it in the folder $SCREENSHOTS, if that is set.
func (b *browser) show(name, scheme string, width int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.evaluate("(scrollTo(0, 0), 0)", new(int))
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	var picture struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &picture)
	png, err := base64.StdEncoding.DecodeString(picture.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)), png, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// click clicks the middle of the first element that matches a selector.
func (b *browser) click(selector string) {
	b.t.Helper()
	var at struct{ X, Y float64 }
	b.evaluate(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect();
		return {X: r.x + 20, Y: r.y + r.height / 2} })()`, selector), &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// checkEvents fails the test if the page has logged anything, or requested anything except itself.
func (b *browser) checkEvents(path string) {
	b.t.Helper()
	for _, e := range b.events {
		switch e.Method {
		case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded":
			b.t.Errorf("%s: %s", e.Method, e.Params)
		case "Network.requestWillBeSent":
			if !strings.Contains(string(e.Params), `"url":"file://`+path+`"`) {
				b.t.Errorf("it asks for %s", e.Params)
			}
		}
	}
}

// TestBrowser checks the page of a crash as a person would use it: the main facts are visible, parts open and close, nothing is cut
// off on a narrow screen, text is readable in light and dark mode, and nothing is loaded from elsewhere.
func TestBrowser(t *testing.T) {
	victims.Tool(t, "chromium")
	dir := t.TempDir()
	run(t, dir, "run", "--annotation", "note=</dd><script>console.error('x')</script><img src=https://example.com/x>", "--",
		victims.C(t, "crasher.c"), "null").want(t, 139, "wrote ")
	path := filepath.Join(dir, "page.html")
	run(t, dir, "show", "--html", path, files(t, dir)[0]).want(t, 0, "")
	b := openBrowser(t)
	b.show("crasher", "light", 1280)
	b.open(path)

	var title string
	if b.evaluate("document.title", &title); !strings.Contains(title, "SIGSEGV") {
		t.Errorf("title %q", title)
	}
	var first string // what a screen shows without scrolling
	b.evaluate(`[...document.querySelectorAll("h1, p, dt, dd, h2, td")].filter(e => { const r = e.getBoundingClientRect();
		return r.height > 0 && r.width > 0 && r.bottom <= innerHeight && r.right <= innerWidth }).map(e => e.innerText).join("\n")`, &first)
	for _, want := range append(libraries(), "crasher", "SIGSEGV / SEGV_MAPERR", "Signature", "level3", "level2", "main", "crasher.c:") {
		if !strings.Contains(first, want) {
			t.Errorf("one does not see %q at first:\n%s", want, first)
		}
	}
	var body string
	b.evaluate("document.body.innerText", &body)
	for _, want := range []string{"Registers", "rip", "Modules", "Memory", "Open files", "Environment", "<script>console.error"} {
		if !strings.Contains(body, want) {
			t.Errorf("one does not see %q", want)
		}
	}
	b.checkDetails()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 390} {
			b.show("crasher", scheme, width)
			b.checkLayout(scheme, width)
		}
	}
	b.checkEvents(path)
}

// checkDetails opens and closes each part of the page that can be opened.
func (b *browser) checkDetails() {
	b.t.Helper()
	var count int
	if b.evaluate(`document.querySelectorAll("details").length`, &count); count < 3 {
		b.t.Errorf("%d parts can be opened", count)
	}
	for i := range count {
		b.evaluate(fmt.Sprintf(`(document.querySelectorAll("summary").forEach((e, i) => e.id = i == %d ? "here" : ""), 0)`, i), new(int))
		for _, want := range []bool{true, false} {
			b.click("#here")
			var got struct {
				Open   bool
				Height float64
			}
			b.evaluate(`(() => { const d = document.querySelector("#here").parentElement;
				return {Open: d.open, Height: d.lastElementChild.getBoundingClientRect().height} })()`, &got)
			if got.Open != want || want && got.Height == 0 {
				b.t.Errorf("part %d after a click: %+v, want open %v", i, got, want)
			}
		}
	}
}

// checkLayout checks that the page is no wider than the screen with everything open, and that text has a contrast of 4.5 to its
// background (Web Content Accessibility Guidelines, 1.4.3).
func (b *browser) checkLayout(scheme string, width int) {
	b.t.Helper()
	var wide []string
	b.evaluate(`(() => { document.querySelectorAll("details").forEach(d => d.open = true);
		const wide = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest("pre"))
			.map(e => e.tagName + " " + e.className + " " + e.innerText.slice(0, 40));
		if (document.documentElement.scrollWidth > innerWidth) wide.push("the page");
		return wide })()`, &wide)
	if len(wide) > 0 {
		b.t.Errorf("%s, %d wide: cut off are %q", scheme, width, wide[:min(5, len(wide))])
	}
	var column float64 // width of the column of function names
	if b.evaluate(`document.querySelector(".frames tr:nth-child(2) .f").getBoundingClientRect().width`, &column); column < 250 {
		b.t.Errorf("%s, %d wide: functions have %v pixels", scheme, width, column)
	}
	var pale []string
	b.evaluate(`(() => {
		const light = c => { const v = c.match(/[\d.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
			return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
		const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$/.test(c)) return c }
			return "rgb(255, 255, 255)" };
		return [...document.querySelectorAll("h1, h2, p, dt, dd, td, th, span, summary, pre, .regs div")].map(e => {
			const a = light(getComputedStyle(e).color), b = light(behind(e));
			return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.tagName + " " + e.className] }).filter(x => x[0] < 4.5)
			.map(x => x[1] + " " + x[0].toFixed(2)) })()`, &pale)
	if len(pale) > 0 {
		b.t.Errorf("%s: hard to read are %q", scheme, pale[:min(5, len(pale))])
	}
	var dark bool
	if b.evaluate(`getComputedStyle(document.body).backgroundColor.match(/\d+/)[0] < 128`, &dark); dark != (scheme == "dark") {
		b.t.Errorf("%s: the page is dark: %v", scheme, dark)
	}
}

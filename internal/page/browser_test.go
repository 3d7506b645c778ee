package page

import (
	"context"
	"fmt"
	"image"
	"image/color"
	_ "image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestBrowser has headless Chromium (Debian: chromium) show the page at the widths of phones, light and dark: it must not
// be wider than the screen, dark must be dark, and nothing may be asked for but the page. TAOLIGHT_SCREENSHOTS names a
// folder to keep what it saw in.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a browser takes seconds")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not here")
	}
	dir := os.Getenv("TAOLIGHT_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	for _, c := range []struct {
		name   string
		d      *Data
		wide   int
		height int
		dark   bool
	}{
		{"sample", sample(), 320, 2400, false}, {"sample", sample(), 390, 2300, false}, {"sample", sample(), 390, 2300, true}, {"sample", sample(), 320, 2400, true},
		{"bare", bare(), 320, 900, false}, {"hostile", hostile("<script>alert('x')</script> Wordwordwordwordwordwordwordwordwordwordwordword"), 320, 4000, true},
	} {
		name := fmt.Sprintf("%s-%d-dark-%v", c.name, c.wide, c.dark)
		t.Run(name, func(t *testing.T) {
			answer := Handler(func(context.Context) (*Data, error) { return c.d, nil })
			asked := make(chan string, 64)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked <- r.URL.Path
				if !answer(w, r) {
					http.NotFound(w, r)
				}
			}))
			defer s.Close()
			path := filepath.Join(dir, name+".png")
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			scheme := 1
			if c.dark {
				scheme = 0
			}
			out, err := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
				"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
				"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme),
				fmt.Sprintf("--window-size=%d,%d", c.wide, c.height), "--screenshot="+path, s.URL+"/").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			seen, _, err := image.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			look(t, seen, c.wide, c.dark)
			close(asked)
			for p := range asked {
				if p != "/" {
					t.Errorf("%s was asked for", p)
				}
			}
		})
	}
}

// look checks what a browser showed.
func look(t *testing.T, seen image.Image, wide int, dark bool) {
	t.Helper()
	size := seen.Bounds()
	if size.Dx() != wide {
		t.Fatalf("%d pixels wide, want %d", size.Dx(), wide)
	}
	ground := seen.At(1, 1)
	if light := color.GrayModel.Convert(ground).(color.Gray).Y; (light < 60) != dark {
		t.Errorf("the ground is %d of 255, dark %v", light, dark)
	}
	ink := 0
	for y := range size.Dy() {
		for x := wide - 10; x < wide; x++ { // what is too wide would stand in the margin
			if seen.At(x, y) != ground {
				t.Fatalf("something stands at the right edge, at %d %d", x, y)
			}
		}
		for x := range wide {
			if seen.At(x, y) != ground {
				ink++
			}
		}
	}
	if ink < 2000 {
		t.Errorf("%d pixels are not ground: an empty page?", ink)
	}
}

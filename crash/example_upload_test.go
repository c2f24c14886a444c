package crash_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"minidump/crash"
	"minidump/internal/scratch"
)

// upload sends a minidump to an endpoint of Sentry's form: "https://HOST/api/PROJECT/minidump/?sentry_key=KEY", from the settings of
// the project. Other crash servers use the same form field.
func upload(endpoint, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	body, w := io.Pipe() // a dump can be larger than the free memory
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("upload_file_minidump", filepath.Base(path))
		if err == nil {
			_, err = io.Copy(part, f)
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	client := &http.Client{Timeout: time.Minute}
	answer, err := client.Post(endpoint, form.FormDataContentType(), body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", endpoint, answer.Status)
	}
	return nil
}

// The monitor, which is a separate process, sends each dump to a server.
func ExampleOptions_upload() {
	err := crash.Start(crash.Options{
		Dir: "crashes",
		OnDump: func(path string) {
			if err := upload("https://sentry.example.com/api/1/minidump/?sentry_key=KEY", path); err != nil {
				log.Print("crash report: ", err)
			}
		},
	})
	if err != nil {
		log.Print("no crash reports: ", err)
	}
}

// TestUpload sends a file to a server that parses the form as Sentry does.
func TestUpload(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Skipf("no network: %v", err)
	} else {
		l.Close()
	}
	want := []byte("MDMP and so on")
	path := filepath.Join(scratch.Dir(t), "app.1.dmp")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	var got []byte
	var name, key string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, h, err := r.FormFile("upload_file_minidump")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		defer f.Close()
		got, _ = io.ReadAll(f)
		name, key = h.Filename, r.URL.Query().Get("sentry_key")
	}))
	defer server.Close()
	if err := upload(server.URL+"/api/1/minidump/?sentry_key=k", path); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || name != "app.1.dmp" || key != "k" {
		t.Errorf("%q in %s with key %s", got, name, key)
	}
	if err := upload(server.URL, filepath.Join(scratch.Dir(t), "none")); err == nil {
		t.Error("a file that is not there was sent")
	}
	refuses := httptest.NewServer(http.NotFoundHandler())
	defer refuses.Close()
	if err := upload(refuses.URL, path); err == nil {
		t.Error("an answer of 404 is no error")
	}
}

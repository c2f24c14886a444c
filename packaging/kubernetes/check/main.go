// Check decodes Kubernetes manifests as strictly as the API server does with fieldValidation=Strict: every field must exist in
// the object's type, occur once, and have a value of the right type.
//
//	check FILE...
//
// It is a module of its own, so the project's module does not require Kubernetes.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	scheme := runtime.NewScheme()
	must(errors.Join(appsv1.AddToScheme(scheme), corev1.AddToScheme(scheme)))
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	objects := 0
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		must(err)
		for documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text))); ; objects++ {
			one := make([]byte, len(text))
			n, err := documents.Read(one)
			if err == io.EOF {
				break
			}
			must(err)
			if _, kind, err := decoder.Decode(one[:n], nil, nil); err != nil {
				must(fmt.Errorf("%s: %w", path, err))
			} else {
				fmt.Printf("%s: %s is valid\n", path, kind)
			}
		}
	}
	if objects == 0 {
		must(errors.New("no object was checked"))
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

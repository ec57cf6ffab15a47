// A handler that tells what the language says of the environment.
package main

import (
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func() (map[string]string, error) {
		found := map[string]string{}
		for _, entry := range os.Environ() {
			name, value, _ := strings.Cut(entry, "=")
			if strings.HasPrefix(name, "X_") {
				found[name] = value
			}
		}
		return found, nil
	})
}

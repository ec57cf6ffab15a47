// Read a secret from the cache: at start, and once more when it turns out to have been rotated.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

const secretURL = "http://localhost:8080/cache/secret_now"

// A transport without Proxy asks no proxy, whatever HTTP_PROXY says.
var client = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}

func readSecret(query string) (string, error) {
	response, err := client.Get(secretURL + query)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(string(body)) // it says why
	}
	return string(body), err
}

type event struct {
	Refused bool `json:"refused"`
}

type result struct {
	StatusCode     int `json:"statusCode"`
	PasswordLength int `json:"passwordLength"`
}

func main() {
	password, err := readSecret("?key=password") // the extension makes this wait until the secret is there
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(func(_ context.Context, e event) (result, error) {
		secret, err := readSecret("")
		if err != nil {
			return result{}, err
		}
		fmt.Println("Response from cache: " + secret)
		if e.Refused { // stands for a database that refuses the password: it was rotated
			if password, err = readSecret("?key=password&refresh=true"); err != nil {
				return result{}, err
			}
		}
		return result{200, len(password)}, nil
	})
}

// Asks AWS's layer with net/http, and reads the answers as the SDK's types have them.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

type secretValue struct {
	ARN, Name, SecretString, VersionId string
	SecretBinary                       []byte
	VersionStages                      []string
	CreatedDate                        time.Time
	ResultMetadata                     struct{}
}

type parameterValue struct {
	Parameter struct {
		Name, Type, Value string
		Version           int64
		LastModifiedDate  time.Time
	}
}

func get(path string, query url.Values, into any) error {
	request, err := http.NewRequest("GET", "http://localhost:2773"+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	request.Header.Add("X-Aws-Parameters-Secrets-Token", os.Getenv("AWS_SESSION_TOKEN"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	decoder := json.NewDecoder(response.Body)
	decoder.DisallowUnknownFields()
	if path == "/secretsmanager/get" {
		return decoder.Decode(into)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

func main() {
	var secret secretValue
	if err := get("/secretsmanager/get", url.Values{"secretId": {"prod/api"}}, &secret); err != nil {
		log.Fatal(err)
	}
	lambda.Start(func() (map[string]string, error) {
		var found parameterValue
		err := get("/systemsmanager/parameters/get", url.Values{"name": {"/app/plain"}}, &found)
		return map[string]string{"secret": secret.SecretString, "parameter": found.Parameter.Value}, err
	})
}

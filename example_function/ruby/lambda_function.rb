# Read a secret from the cache: at load, and once more when it turns out to have been rotated.
require "net/http"

SECRET_URL = URI("http://localhost:8080/cache/secret_now")

def read_secret(query = "")
  # nil stands for no proxy, whatever http_proxy says.
  Net::HTTP.start(SECRET_URL.host, SECRET_URL.port, nil, open_timeout: 10, read_timeout: 10) do |http|
    response = http.get(SECRET_URL.path + query)
    body = response.body.force_encoding(Encoding::UTF_8)
    raise body unless response.is_a?(Net::HTTPOK) # it says why
    body
  end
end

$password = read_secret("?key=password") # the extension makes this wait until the secret is there

def lambda_handler(event:, context:)
  puts "Response from cache: #{read_secret}"
  if event["refused"] # stands for a database that refuses the password: it was rotated
    $password = read_secret("?key=password&refresh=true")
  end
  { statusCode: 200, passwordLength: $password.length }
end

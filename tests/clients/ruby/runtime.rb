# A runtime for lambda_function.lambda_handler: AWS's own, aws_lambda_ric, comes from RubyGems alone.
require "json"
require "net/http"

$stdout.sync = true
HOST, PORT = ENV.fetch("AWS_LAMBDA_RUNTIME_API").split(":")
API = "/2018-06-01/runtime"

def call(request, body = nil)
  Net::HTTP.start(HOST, PORT, nil, read_timeout: nil) { |http| http.request(request, body) }
end

def report(path, result)
  call(Net::HTTP::Post.new(API + path), JSON.generate(result))
end

def error(raised)
  { errorMessage: raised.message, errorType: raised.class.name }
end

begin
  require File.join(ENV.fetch("LAMBDA_TASK_ROOT"), "lambda_function")
rescue StandardError => raised
  report("/init/error", error(raised))
  exit 1
end

loop do
  invocation = call(Net::HTTP::Get.new("#{API}/invocation/next"))
  id = invocation["Lambda-Runtime-Aws-Request-Id"]
  begin
    report("/invocation/#{id}/response", lambda_handler(event: JSON.parse(invocation.body), context: nil))
  rescue StandardError => raised
    report("/invocation/#{id}/error", error(raised))
  end
end

# A handler that tells what the language says of the environment.
def lambda_handler(event:, context:)
  ENV.select { |name, _| name.start_with?("X_") }
end

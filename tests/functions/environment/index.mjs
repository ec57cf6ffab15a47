// A handler that tells what the language says of the environment.
export const handler = async () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("X_")));

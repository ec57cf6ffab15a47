// Reads a secret from the cache: at start, and once more when it turns out to have been rotated.
// The handler is ASSEMBLY::Function::Handle. A stream in and out needs no package; yours may use any serializer.
using System;
using System.IO;
using System.Net.Http;
using System.Text;
using System.Threading.Tasks;

public class Function
{
    const string SecretUrl = "http://localhost:8080/cache/secret_now";

    // No proxy, whatever HTTP_PROXY says.
    static readonly HttpClient Client =
        new HttpClient(new HttpClientHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(10) };

    // The extension makes this wait until the secret is there.
    string password = ReadSecret("?key=password").GetAwaiter().GetResult();

    public async Task<Stream> Handle(Stream input)
    {
        var payload = await new StreamReader(input).ReadToEndAsync();
        Console.WriteLine("Response from cache: " + await ReadSecret());
        if (payload.Contains("\"refused\"")) // stands for a database that refuses the password: it was rotated
        {
            password = await ReadSecret("?key=password&refresh=true");
        }
        var result = "{\"statusCode\": 200, \"passwordLength\": " + password.Length + "}";
        return new MemoryStream(Encoding.UTF8.GetBytes(result));
    }

    static async Task<string> ReadSecret(string query = "")
    {
        var response = await Client.GetAsync(SecretUrl + query);
        var body = await response.Content.ReadAsStringAsync();
        if (!response.IsSuccessStatusCode)
        {
            throw new InvalidOperationException(body); // it says why
        }
        return body;
    }
}

// Functions that answer with the data itself, and raise what is no success.
export default {
  output: { clean: true, importFileExtension: '.js' },
  plugins: [
    { name: '@hey-api/client-fetch', throwOnError: true },
    '@hey-api/typescript',
    { name: '@hey-api/sdk', responseStyle: 'data', operations: { strategy: 'single', containerName: 'Api' } },
  ],
};

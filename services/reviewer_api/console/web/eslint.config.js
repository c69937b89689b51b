import hooks from 'eslint-plugin-react-hooks'
import ts from 'typescript-eslint'

// What a stranger wrote is shown as text only: nothing here may make markup, or code, from a string.
const asMarkup = ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'dangerouslySetInnerHTML', 'srcdoc']

export default ts.config(
  { ignores: ['src/api/schema.d.ts'] },
  ...ts.configs.recommended,
  hooks.configs.flat['recommended-latest'],
  {
    rules: {
      'no-console': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-restricted-syntax': [
        'error',
        ...asMarkup.flatMap((name) => [
          { selector: `MemberExpression[property.name='${name}']`, message: 'use text, never markup' },
          { selector: `JSXAttribute[name.name='${name}']`, message: 'use text, never markup' },
        ]),
      ],
    },
  },
)

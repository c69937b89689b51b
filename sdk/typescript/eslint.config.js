import ts from 'typescript-eslint'

export default ts.config(
  { ignores: ['src/schema.ts'] },
  ...ts.configs.recommended,
  { rules: { 'no-console': 'error', 'no-eval': 'error' } },
)

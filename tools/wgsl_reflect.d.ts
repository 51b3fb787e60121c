/** The package types its bare name only, but under Node only this file of it can be imported. */
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export * from 'wgsl_reflect';
}

//! `#[udf]`: exports a function to SQL.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{FnArg, ItemFn, ReturnType, Type};

/// Exports a function so that `CREATE FUNCTION … AS 'its_name'` finds it; the crate's documentation
/// says which types it may have.
#[proc_macro_attribute]
pub fn udf(options: TokenStream, item: TokenStream) -> TokenStream {
    if !options.is_empty() {
        let error = syn::Error::new_spanned(Tokens::from(options), "`#[udf]` takes no options");
        return error.into_compile_error().into();
    }
    let function = match syn::parse::<ItemFn>(item) {
        Ok(function) => function,
        Err(error) => return error.into_compile_error().into(),
    };
    let exported = exported(&function).unwrap_or_else(syn::Error::into_compile_error);
    quote! { #function #exported }.into()
}

fn exported(function: &ItemFn) -> syn::Result<Tokens> {
    let (arguments, result) = types(function)?;
    let name = &function.sig.ident;
    let symbol = format_ident!("nowcast_udf_{}", name);
    let count = arguments.len();
    let positions: Vec<usize> = (0..count).collect();
    Ok(quote! {
        #[doc(hidden)]
        #[allow(non_upper_case_globals, unsafe_code)]
        #[unsafe(no_mangle)]
        pub static #symbol: ::nowcast_udf::abi::Function = {
            use ::nowcast_udf::{abi, guest};

            const ARGUMENTS: &[abi::Value] = &[#(guest::argument::<#arguments>()),*];

            unsafe extern "C" fn call(
                arguments: *const abi::ArrowArray,
                rows: u64,
                result: *mut abi::ArrowArray,
            ) -> i32 {
                // SAFETY: the host hands over a column of the told type for each argument.
                unsafe {
                    let columns = guest::columns(arguments, #count);
                    guest::run(rows, result, |row| {
                        let _ = row;
                        if false #(|| guest::lacks::<#arguments>(&columns[#positions], row))* {
                            return ::core::result::Result::Ok(::core::option::Option::None);
                        }
                        guest::Answer::answer(
                            #name(#(guest::read::<#arguments>(&columns[#positions], row)),*)
                        )
                    })
                }
            }

            abi::Function {
                version: abi::VERSION,
                arguments_len: #count as u32,
                arguments: ARGUMENTS.as_ptr(),
                result: guest::answer::<#result>(),
                call,
            }
        };
    })
}

/// The types of the arguments and of the result.
fn types(function: &ItemFn) -> syn::Result<(Vec<&Type>, &Type)> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        let message = "a SQL function has no type parameters and no lifetimes of its own";
        return Err(syn::Error::new_spanned(&signature.generics, message));
    }
    if let Some(word) = &signature.asyncness {
        return Err(syn::Error::new_spanned(word, "a SQL function is not async"));
    }
    if let Some(word) = &signature.unsafety {
        return Err(syn::Error::new_spanned(word, "a SQL function is safe to call"));
    }
    let mut arguments = vec![];
    for argument in &signature.inputs {
        match argument {
            FnArg::Typed(typed) => arguments.push(typed.ty.as_ref()),
            FnArg::Receiver(receiver) => {
                return Err(syn::Error::new_spanned(receiver, "a SQL function is no method"));
            }
        }
    }
    match &signature.output {
        ReturnType::Type(_, result) => Ok((arguments, result)),
        ReturnType::Default => {
            Err(syn::Error::new_spanned(signature, "a SQL function gives a value"))
        }
    }
}

//! A service account, as it is written on the command line.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(super) namespace: String,
    pub(super) name: String,
}

pub(super) fn account(text: &str) -> Result<Account, String> {
    let is_name = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    match text.split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => {
            Ok(Account { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        Some(_) | None => Err("it must be a namespace and a name, such as homeostat/homeostat".to_owned()),
    }
}

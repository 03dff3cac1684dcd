//! Generates code from the methods' options (`custodia/v1/options.proto`): the table, the traits of each request, and the
//! macros from which the server builds its dispatch and the client its methods.
//!
//! Invariant: a method that lacks an option, or whose options contradict its request, fails the build.

use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MethodDescriptor, ReflectMessage as _, Value,
};

const RULE: &str = "custodia.v1.rule";
const PUBLIC: &str = "custodia.v1";

/// A method and its options.
struct Rpc {
    method: MethodDescriptor,
    roles: Vec<String>,
    answered_by: String,
    /// The server trait that answers it.
    handler: &'static str,
    retry: &'static str,
    customer_field: Vec<FieldDescriptor>,
    dated_field: Option<FieldDescriptor>,
    brief: bool,
}

/// The generated code.
///
/// # Errors
/// Names the method and the option that is missing or contradicts its request.
pub(crate) fn generate(pool: &DescriptorPool) -> Result<String, String> {
    let mut rpcs = Vec::new();
    for service in pool.services().filter(|service| service.package_name().starts_with("custodia.")) {
        for method in service.methods() {
            let name = method.full_name().to_owned();
            rpcs.push(Rpc::read(method).map_err(|problem| format!("{name}: {problem}"))?);
        }
    }
    let mut code = String::new();
    table(&mut code, &rpcs);
    for rpc in rpcs.iter().filter(|rpc| rpc.is_public() && !rpc.streams()) {
        rpc.traits(&mut code);
    }
    lists(&mut code, &rpcs);
    Ok(code)
}

impl Rpc {
    fn read(method: MethodDescriptor) -> Result<Self, String> {
        let rule = rule(&method)?;
        let roles = texts(&rule, "roles");
        if roles.is_empty() {
            return Err(format!("the option ({RULE}) names no roles"));
        }
        let answered_by = text(&rule, "answered_by");
        let (is_read, retry) = match idempotency(&method) {
            "NO_SIDE_EFFECTS" => (true, "Safe"),
            "IDEMPOTENT" => (false, "ByRequestId"),
            _ => (false, "Unsafe"),
        };
        let handler = match answered_by.as_str() {
            "ANSWERER_CUSTOMER_LEADER" if is_read => "customer_read",
            "ANSWERER_CUSTOMER_LEADER" => "customer_write",
            "ANSWERER_HOLDER_LEADER" if is_read => "holder_read",
            "ANSWERER_DIRECTORY_LEADER" => "directory_write",
            "ANSWERER_SHARD_LEADERS" => "shard_leaders",
            "ANSWERER_ANY_NODE" => "any_node",
            _ => return Err(format!("the option ({RULE}) has no answered_by")),
        };
        let input = method.input();
        let field = |name: &str| input.get_field_by_name(name);
        if retry == "ByRequestId" && field("request_id").is_none() {
            return Err("a method with idempotency_level IDEMPOTENT needs a field request_id".to_owned());
        }
        let is_about_customer =
            ["ANSWERER_CUSTOMER_LEADER", "ANSWERER_HOLDER_LEADER"].contains(&answered_by.as_str());
        if is_about_customer && is_read && field("purpose").is_none() {
            return Err("a read about a customer needs a field purpose".to_owned());
        }
        let customer_field = if is_about_customer { customer_field(&method, &rule)? } else { Vec::new() };
        let dated_field = match text(&rule, "dated_field").as_str() {
            "" => None,
            name => Some(field(name).ok_or_else(|| format!("the request has no field {name}"))?),
        };
        let brief = rule.get_field_by_name("brief").is_some_and(|brief| *brief == Value::Bool(true));
        if method.is_client_streaming() != method.is_server_streaming() {
            return Err("a stream in one direction only is not supported yet".to_owned());
        }
        Ok(Self { method, roles, answered_by, handler, retry, customer_field, dated_field, brief })
    }

    fn is_public(&self) -> bool {
        self.method.parent_service().package_name() == PUBLIC
    }

    fn streams(&self) -> bool {
        self.method.is_client_streaming()
    }

    fn path(&self) -> String {
        format!("/{}/{}", self.method.parent_service().full_name(), self.method.name())
    }

    fn request(&self) -> String {
        self.method.input().name().to_owned()
    }

    fn answer(&self) -> String {
        self.method.output().name().to_owned()
    }

    fn has(&self, field: &str) -> bool {
        self.method.input().get_field_by_name(field).is_some()
    }

    /// The name of the constant with the method's row.
    fn row(&self) -> String {
        format!("{}_{}", snake(self.method.parent_service().name()), snake(self.method.name())).to_uppercase()
    }

    fn traits(&self, code: &mut String) {
        let (request, answer, row) = (self.request(), self.answer(), self.row());
        let mut methods = String::new();
        if self.has("request_id") {
            methods += "fn request_id(&self) -> &str { &self.request_id }\n";
            methods += "fn request_id_mut(&mut self) -> Option<&mut String> { Some(&mut self.request_id) }\n";
        }
        if self.has("validate_only") {
            methods += "fn validate_only(&self) -> bool { self.validate_only }\n";
        }
        if let Some(field) = &self.dated_field {
            let field = field.name();
            methods += &format!(
                "fn date_mut(&mut self) -> Option<&mut Option<crate::Timestamp>> {{ Some(&mut self.{field}) }}\n"
            );
        }
        let about = self.about_customer();
        if about.is_some() {
            methods += "fn customer(&self) -> Option<&str> { self.customer_id().ok() }\n";
        }
        *code += &format!(
            "impl Unary for v1::{request} {{ type Answer = v1::{answer}; const METHOD: &'static Method = &{row}; {methods} }}\n"
        );
        code.extend(about);
    }

    fn about_customer(&self) -> Option<String> {
        let (last, parents) = self.customer_field.split_last()?;
        let path: Vec<&str> = self.customer_field.iter().map(FieldDescriptor::name).collect();
        let mut owner = "self".to_owned();
        for parent in parents {
            owner = format!("{owner}.{0}.as_ref().ok_or(\"{0}\")?", parent.name());
        }
        let mut assigned = "request".to_owned();
        let mut unless_missing = String::new();
        for parent in parents {
            unless_missing += &format!(
                "let Some(parent) = {assigned}.{}.as_mut() else {{ return request }};",
                parent.name()
            );
            assigned = "parent".to_owned();
        }
        let purpose = if self.has("purpose") { "fn purpose(&self) -> &str { &self.purpose }" } else { "" };
        Some(format!(
            "impl AboutCustomer for v1::{} {{ const CUSTOMER_FIELD: &'static str = \"{}\";
            fn customer_id(&self) -> Result<&str, &'static str> {{ Ok(&{owner}.{last}) }}
            fn about(&self, customer_id: String) -> Self {{
                let mut request = self.clone(); {unless_missing} {assigned}.{last} = customer_id; request
            }} {purpose} }}\n",
            self.request(),
            path.join("."),
            last = last.name(),
        ))
    }

    /// The comment above the method, as doc attributes.
    fn docs(&self) -> String {
        let file = self.method.parent_file();
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        let at = info.and_then(|info| info.location.iter().find(|at| at.path == self.method.path()));
        let comment = at.and_then(|at| at.leading_comments.clone()).unwrap_or_default();
        comment.lines().fold(String::new(), |docs, line| docs + &format!("#[doc = {line:?}] "))
    }
}

fn rule(method: &MethodDescriptor) -> Result<DynamicMessage, String> {
    let missing = || format!("lacks the option ({RULE})");
    let extension = method.parent_pool().get_extension_by_name(RULE).ok_or_else(missing)?;
    let options = method.options();
    let rule = options.get_extension(&extension);
    rule.as_message().filter(|_| options.has_extension(&extension)).cloned().ok_or_else(missing)
}

fn idempotency(method: &MethodDescriptor) -> &'static str {
    let options = method.method_descriptor_proto().options.as_ref();
    options.map_or("", |options| options.idempotency_level().as_str_name())
}

fn customer_field(method: &MethodDescriptor, rule: &DynamicMessage) -> Result<Vec<FieldDescriptor>, String> {
    let path = match text(rule, "customer_field") {
        path if path.is_empty() => "customer_id".to_owned(),
        path => path,
    };
    let mut message = Some(method.input());
    let mut fields = Vec::new();
    for name in path.split('.') {
        let field = message.and_then(|message| message.get_field_by_name(name));
        let field = field.ok_or_else(|| format!("the request has no field {path}"))?;
        message = field.kind().as_message().cloned();
        fields.push(field);
    }
    Ok(fields)
}

/// A field's text, or the name of its enum member; empty by default.
fn text(message: &DynamicMessage, field: &str) -> String {
    texts(message, field).concat()
}

/// The same of each element of a list.
fn texts(message: &DynamicMessage, field: &str) -> Vec<String> {
    let Some(descriptor) = message.descriptor().get_field_by_name(field) else { return Vec::new() };
    let value = message.get_field(&descriptor);
    let values = value.as_list().unwrap_or(std::slice::from_ref(&*value));
    values.iter().map(|value| name_of(&descriptor, value)).collect()
}

fn name_of(field: &FieldDescriptor, value: &Value) -> String {
    let member = |number| field.kind().as_enum()?.get_value(number).map(|member| member.name().to_owned());
    let text = || value.as_str().map(str::to_owned);
    value.as_enum_number().and_then(member).or_else(text).unwrap_or_default()
}

/// Generates the rows and the table.
fn table(code: &mut String, rpcs: &[Rpc]) {
    let member = |name: &str, prefix: &str| pascal(name.strip_prefix(prefix).unwrap_or(name));
    for rpc in rpcs {
        let roles: Vec<_> = rpc.roles.iter().map(|role| format!("Role::{}", member(role, "ROLE_"))).collect();
        *code += &format!(
            "static {}: Method = Method {{ path: {:?}, service: {:?}, roles: &[{}], answered_by: Answerer::{}, \
             retry: RetrySafety::{}, is_streaming: {}, brief: {} }};\n",
            rpc.row(),
            rpc.path(),
            rpc.method.parent_service().full_name(),
            roles.join(", "),
            member(&rpc.answered_by, "ANSWERER_"),
            rpc.retry,
            rpc.streams(),
            rpc.brief,
        );
    }
    let rows: Vec<_> = rpcs.iter().map(|rpc| format!("&{}", rpc.row())).collect();
    *code += &format!(
        "/// Every method of `custodia.v1` and `custodia.internal.v1`.\npub static METHODS: &[&Method] = &[{}];\n",
        rows.join(", ")
    );
}

/// Generates the macros that pass the list of methods to another macro.
fn lists(code: &mut String, rpcs: &[Rpc]) {
    let (mut unary, mut streaming) = (String::new(), String::new());
    for rpc in rpcs.iter().filter(|rpc| rpc.is_public()) {
        let (path, name) = (rpc.path(), snake(rpc.method.name()));
        let signature = format!("{path:?} {name}({}) -> {}", rpc.request(), rpc.answer());
        if rpc.streams() {
            streaming += &format!("{signature};\n");
        } else {
            unary += &format!("{} {signature} as {};\n", rpc.docs(), rpc.handler);
        }
    }
    *code += &format!(
        "/// Passes every unary method of the public API to the macro `$each`: its documentation, its path,
        /// `name(Request) -> Answer as handler`.
        #[macro_export]
        macro_rules! unary_methods {{ ($each:ident) => {{ $each! {{ {unary} }} }} }}\n"
    );
    *code += &format!(
        "/// Hands every streaming method of the public API to the macro `$each`: its path, `name(Item) -> Answer`.
        #[macro_export]
        macro_rules! streaming_methods {{ ($each:ident) => {{ $each! {{ {streaming} }} }} }}\n"
    );
}

/// `GetProfile` → `get_profile`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// `CUSTOMER_LEADER` → `CustomerLeader`.
fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect::<String>()
    };
    name.split('_').map(word).collect()
}

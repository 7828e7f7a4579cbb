package import Platform

/// Why a chat template could not be loaded, parsed or rendered. Lines count from 1 in the template's text.
package enum TemplateError: Error, Equatable, CustomStringConvertible {
    /// The template called `raise_exception`: the conversation is not one that this model accepts. The client's error.
    case raised(String)
    /// The text is not a template of the supported language.
    case syntax(line: Int, reason: String)
    /// The template did something that its values do not allow, such as using a variable that is not there.
    case failed(line: Int, reason: String)
    /// A bound of `TemplateLimits` was reached.
    case exceeded(line: Int, limit: String, bound: Int)
    /// A file of the model that should hold the template cannot be read.
    case file(FileError)
    /// A file of the model was read, but what it says is not usable.
    case configuration(path: String, reason: String)

    package var description: String {
        switch self {
        case .raised(let message): message
        case .syntax(let line, let reason): "chat template, line \(line): \(reason)"
        case .failed(let line, let reason): "chat template, line \(line): \(reason)"
        case .exceeded(let line, let limit, let bound): "chat template, line \(line): more than \(bound) \(limit)"
        case .file(let error): error.description
        case .configuration(let path, let reason): "\(path): \(reason)"
        }
    }
}

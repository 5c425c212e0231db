-- Takes credentials out of a line before it is shipped: keys, tokens, passwords in addresses.
local function clean(text)
    text = text:gsub("([Aa]pi[Kk]ey )%S+", "%1***")
    text = text:gsub("([Bb]earer )%S+", "%1***")
    text = text:gsub("(://[^:/@%s]*:)[^@%s]+@", "%1***@")
    return text
end

function redact(tag, timestamp, record)
    local changed = 0
    for key, value in pairs(record) do
        if type(value) == "string" then
            local cleaned = clean(value)
            if cleaned ~= value then
                record[key] = cleaned
                changed = 2
            end
        end
    end
    return changed, timestamp, record
end
